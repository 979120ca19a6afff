"""Call the API of the app, on the phone or on its server, with the closed list of errors.

Sources: https://docs.sms-gate.app/integration/api/, https://api.sms-gate.app/docs/ (OpenAPI); for the states that
the documents leave out, the handlers in the sources of app and server (see `payloads`).
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from datetime import datetime

import msgspec
import requests

from adapters.common import rest
from gateway.domain.errors import Unavailable
from gateway.domain.texts import text

# Causes that an administrator can repair in the settings or on the phone: until then the reply must be kept.
CAUSES = {
    401: text("user or password is wrong"),
    403: text("this user may not do this"),
    404: text("api_base is wrong"),
}
# The same for status 400, by a word in its message.
CAUSES_BY_WORD = {
    re.compile(r"\bdevices?\b", re.IGNORECASE): text("device_id is wrong, or the account has no phone"),
    re.compile(r"sim ?number", re.IGNORECASE): text("sim_number is wrong"),
}


class _Answer(msgspec.Struct):
    id: str


class PhoneApi:
    """The calls of the adapter; each raises only `Throttled`, `Unavailable` or `Rejected`."""

    def __init__(self, base: str, user: str, password: str, *, local: bool, timeout: float) -> None:
        """Open nothing yet; `timeout` in seconds is for connecting and for each read."""
        self._base = base
        self._name = text("the phone") if local else text("the phone's server")
        # A proxy to the internet does not reach a phone in our own network.
        self._client = rest.Client(self._name, timeout=timeout, login=(user, password), use_proxies=not local)

    def send(self, message_id: str, message: Mapping[str, object]) -> None:
        """Send one message under our id; 409 counts as sent, because the API has the id already."""
        answer = self._call("POST", "/messages", content={"id": message_id, **message}, accepted={409})
        if answer.status_code != 409:
            self._check_id(answer, message_id)

    def has(self, message_id: str) -> bool:
        """Return whether the API has a message with our id."""
        answer = self._call("GET", f"/messages/{message_id}", accepted={404})
        if answer.status_code == 404:
            return False
        self._check_id(answer, message_id)
        return True

    def _check_id(self, answer: requests.Response, message_id: str) -> None:
        """Raise `Unavailable` unless the answer names our id: the login page of a Wi-Fi answers 200 to every request."""
        try:
            answer_id = msgspec.json.decode(answer.content, type=_Answer).id
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            answer_id = None
        if answer_id != message_id:
            error_text = text(
                "{api} gave an answer that is not the API's: check api_base and the network", api=self._name
            )
            raise Unavailable(error_text)

    def health(self) -> bytes:
        """Return the phone's health report as JSON; the app sends it with HTTP 500 if a check fails."""
        return self._call("GET", "/health", accepted={500}).content

    def devices(self) -> bytes:
        """Return the list of the account's phones as JSON."""
        return self._call("GET", "/devices").content

    def inbox(self, since: datetime, until: datetime, *, limit: int, offset: int) -> bytes:
        """Return one page of the app's list of received SMS as JSON."""
        query: dict[str, str | int] = {"type": "SMS", "limit": limit, "offset": offset}
        query |= {"from": since.isoformat(), "to": until.isoformat()}
        return self._call("GET", "/inbox", query=query).content

    def refresh(self, since: datetime, until: datetime) -> None:
        """Let the app add the phone's missing SMS to its list, for example after a crash."""
        period = {"since": since.isoformat(), "until": until.isoformat()}
        self._call("POST", "/inbox/refresh", content=period)

    def export(self, device_id: str, since: datetime, until: datetime) -> None:
        """Let the phone send the webhooks of a period again, now or when it is back online."""
        period = {"deviceId": device_id, "since": since.isoformat(), "until": until.isoformat()}
        self._call("POST", "/messages/inbox/export", content=period)

    def _call(
        self,
        method: str,
        path: str,
        *,
        content: Mapping[str, object] | None = None,
        query: Mapping[str, str | int] | None = None,
        accepted: Container[int] = (),
    ) -> requests.Response:
        """Make one call with JSON content; a status of `accepted` is an answer, not an error."""
        body = msgspec.json.encode(content) if content is not None else None
        headers = {"Content-Type": "application/json"} if body else None
        answer = self._client.call(method, self._base + path, query=query, body=body, headers=headers)
        status = answer.status_code
        if 200 <= status < 300 or status in accepted:
            return answer
        cause = CAUSES.get(status)
        if status == 400:
            cause = next((cause for word, cause in CAUSES_BY_WORD.items() if word.search(answer.text)), None)
        error_text = text("{api} answered HTTP {status}", api=self._name, status=status)
        raise rest.failure(error_text, answer, cause=cause)
