"""The API of the app: the phone's own, or the one of the server it is registered at; errors become the closed list.

Sources: https://docs.sms-gate.app/integration/api/, https://api.sms-gate.app/docs/ (OpenAPI); for the states that
the documents leave out, the handlers in the sources of app and server (see `android_payloads`).
"""

from __future__ import annotations

import re
from collections.abc import Container
from datetime import datetime
from typing import Any

import msgspec
import requests

from adapters.common import rest
from gateway.domain.errors import Unavailable

# What somebody can put right in the settings or on the phone: the reply must live until they have.
FIXABLE_STATUS = {
    401: "user or password is wrong",
    403: "this user may not do this",
    404: "api_base is wrong",
}
# The same for 400, by what its message speaks of.
FIXABLE_WORDS = {
    re.compile(r"\bdevices?\b", re.IGNORECASE): "device_id is wrong, or the account has no phone",
    re.compile(r"sim ?number", re.IGNORECASE): "sim_number is wrong",
}


class _Named(msgspec.Struct):
    id: str


class PhoneApi:
    """The few calls the adapter makes; each raises `Throttled`, `Unavailable` or `Rejected` and nothing else."""

    def __init__(self, base: str, user: str, password: str, *, local: bool, timeout: float) -> None:
        """Open nothing yet; `timeout` in seconds holds for connecting and for each read."""
        self._base, self._name = base, "the phone" if local else "the phone's server"
        # A proxy to the internet does not reach the phone in the drawer.
        self._client = rest.Client(self._name, timeout=timeout, login=(user, password), use_proxies=not local)

    def send(self, message: dict[str, Any]) -> None:
        """Hand over one message under our id; that it is there already (409) is as good."""
        answer = self._call("POST", "/messages", message=message, fine={409})
        if answer.status_code != 409:
            self._check_id(answer, message["id"])

    def has(self, message_id: str) -> bool:
        """Tell whether a message of ours was taken."""
        answer = self._call("GET", f"/messages/{message_id}", fine={404})
        if answer.status_code == 404:
            return False
        self._check_id(answer, message_id)
        return True

    def _check_id(self, answer: requests.Response, message_id: str) -> None:
        """Take only the API's own word for it: the login page of a Wi-Fi answers 200 to everything."""
        try:
            named = msgspec.json.decode(answer.content, type=_Named).id
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            named = None
        if named != message_id:
            raise Unavailable(f"{self._name} gave an answer that is not the API's: check api_base and the network")

    def health(self) -> bytes:
        """Return what the phone says of itself; with HTTP 500 where it is not well."""
        return self._call("GET", "/health", fine={500}).content

    def devices(self) -> bytes:
        """Return the account's phones."""
        return self._call("GET", "/devices").content

    def inbox(self, since: datetime, until: datetime, *, limit: int, offset: int) -> bytes:
        """Return one page of the SMS that the app has seen."""
        wanted = {"type": "SMS", "from": since.isoformat(), "to": until.isoformat(), "limit": limit, "offset": offset}
        return self._call("GET", "/inbox", query=wanted).content

    def refresh(self, since: datetime, until: datetime) -> None:
        """Let the app look through the phone's own SMS for what it has not seen, as after a crash."""
        period = {"since": since.isoformat(), "until": until.isoformat()}
        self._call("POST", "/inbox/refresh", message=period)

    def export(self, device_id: str, since: datetime, until: datetime) -> None:
        """Let the phone send the webhooks of a period, now or when it is back."""
        period = {"deviceId": device_id, "since": since.isoformat(), "until": until.isoformat()}
        self._call("POST", "/messages/inbox/export", message=period)

    def _call(
        self,
        method: str,
        path: str,
        *,
        message: dict[str, Any] | None = None,
        query: dict[str, Any] | None = None,
        fine: Container[int] = (),
    ) -> requests.Response:
        """Make one call; a status in `fine` is an answer, not an error."""
        body = msgspec.json.encode(message) if message is not None else None
        headers = {"Content-Type": "application/json"} if body else None
        answer = self._client.call(method, self._base + path, query=query, body=body, headers=headers)
        status = answer.status_code
        if 200 <= status < 300 or status in fine:
            return answer
        fix = FIXABLE_STATUS.get(status)
        if status == 400:
            fix = next((fix for word, fix in FIXABLE_WORDS.items() if word.search(answer.text)), None)
        raise rest.failure(f"{self._name} answered HTTP {status}", answer, fix=fix)
