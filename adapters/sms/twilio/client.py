"""Call Twilio through its SDK, with time limits, the closed list of errors, and no phone number in any log.

The adapter imports this module on its first call: a process that only receives does not load the SDK.
Error codes: https://www.twilio.com/docs/api/errors. SDK behaviour: twilio 9.13, read in its source.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from twilio.base.exceptions import TwilioException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from adapters.common import rest
from gateway.domain.errors import Unavailable
from gateway.domain.texts import text

API = "https://api.twilio.com"  # the SDK builds every URL of a message with this host

BUSY = {20429, 21611}  # too many requests; the sender's queue is full

# Causes that an administrator can repair in the settings or the console: until then the reply must be kept.
CAUSES = {
    20003: text("account_sid or auth_token is wrong"),
    20005: text("the account is suspended or closed"),
    20008: text("auth_token is the test token"),
    21212: text("sender is not a number Twilio can send from"),
    21408: text("sending to this country is switched off in the console (Messaging, Geo permissions)"),
    21606: text("sender is not an SMS number of this account"),
    21659: text("sender is not a number of this account"),
    21660: text("sender belongs to another account"),
}
STATUS_CAUSES = {
    401: text("account_sid or auth_token is wrong"),
    403: text("the account may not do this; see the console"),
    404: text("account_sid or api_base is wrong"),
}


class TwilioApi:
    """The calls of the adapter; each raises only `Throttled`, `Unavailable` or `Rejected`."""

    def __init__(self, account_sid: str, auth_token: str, *, sender: str, api_base: str, timeout: float) -> None:
        """Open nothing yet; `timeout` in seconds is for connecting and for each read."""
        # The SDK logs query strings, which hold phone numbers, at INFO.
        silent = logging.getLogger("adapters.sms.twilio.adapter.sdk")
        silent.disabled = True
        rest.silence_queries()
        http = TwilioHttpClient(timeout=timeout, logger=silent, request_hooks={"response": [_raise_for_status]})
        if api_base != API:
            http.session.mount(API, _OtherHost(api_base))
        # TWILIO_EDGE and TWILIO_REGION would change the host without notice; api_base does it visibly.
        environment = {"TWILIO_EDGE": "", "TWILIO_REGION": ""}
        self._client = Client(account_sid, auth_token, http_client=http, environment=environment)
        self._sender = sender
        self._first_page = f"/2010-04-01/Accounts/{account_sid}/Messages.json"

    def create(self, to: str, content: str, status_callback: str | None) -> str:
        """Send one SMS and return its sid."""
        options = {"status_callback": status_callback} if status_callback else {}
        with _classified():
            sid = self._client.messages.create(to=to, from_=self._sender, body=content, **options).sid
        if not isinstance(sid, str) or not sid:
            raise Unavailable(text("Twilio took the reply but named no sid"))
        return sid

    def sent_to(self, number: str, limit: int) -> Iterator[tuple[str, str, datetime | None]]:
        """Yield sid, text and time of creation (UTC) of our newest messages to the number.

        Twilio does not filter them by date, because a message in its queue has no date of sending yet.
        """
        with _classified():
            for sent in self._client.messages.stream(to=number, from_=self._sender, limit=limit):
                yield sent.sid or "", sent.body or "", sent.date_created

    def list_page(self, path: str | None, since: datetime, size: int) -> str:
        """Return the JSON text of one page of messages to our number: the page at `path`, else the first."""
        # Not `messages.page`: it returns objects, and the inbox keeps the exact bytes of a message.
        query = {"To": self._sender, "DateSent>": f"{since:%Y-%m-%dT%H:%M:%SZ}", "PageSize": size}
        with _classified():
            answer = self._client.request("GET", API + (path or self._first_page), params=None if path else query)
            return str(answer.text)


@contextmanager
def _classified() -> Iterator[None]:
    """Turn errors of the SDK into the closed list; our own errors pass unchanged.

    `from None`: the originals quote URLs and texts with phone numbers.
    """
    try:
        with rest.reaching("Twilio"):
            yield
    except (TwilioException, ValueError) as exc:
        raise Unavailable(text("Twilio's answer cannot be read ({name})", name=type(exc).__name__)) from None


def _raise_for_status(response: requests.Response, *_args: object, **_options: object) -> None:
    # A hook of `requests`, because the exceptions of the SDK do not have the headers, and Retry-After is a header.
    status = response.status_code
    if status < 300:
        return
    code = _error_code(response)
    error_text = text("{api} answered HTTP {status}", api="Twilio", status=status)
    if code:
        error_text = text("Twilio error {code}", code=code)
    cause = CAUSES.get(code) or STATUS_CAUSES.get(status)
    raise rest.failure(error_text, response, cause=cause, busy=code in BUSY)


def _error_code(response: requests.Response) -> int:
    try:
        code = json.loads(response.content).get("code")
    except (ValueError, AttributeError):
        return 0
    return code if isinstance(code, int) else 0


class _OtherHost(HTTPAdapter):
    """A transport that replaces Twilio's host by another base URL: a simulator or a proxy of the region."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base.rstrip("/")

    # Any: the arguments of `requests` pass through unread.
    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        request.url = self._base + (request.url or "").removeprefix(API)
        options["proxies"] = {}  # the environment's proxy is for Twilio's host, not for this one
        return super().send(request, *args, **options)
