"""Send replies to an aggregator, and read its answers, as the table `send` describes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlencode

import msgspec
import requests

from adapters.common import rest
from adapters.sms import gsm
from adapters.sms.http.auth import authorization
from adapters.sms.http.auth_settings import PLACEHOLDER
from adapters.sms.http.payloads import lookup
from adapters.sms.http.settings import Outcome, Send
from gateway.domain.errors import Rejected, Throttled, Unavailable
from gateway.domain.texts import text

_SHOWN = re.compile(r"[\w.-]{1,32}", re.ASCII)  # a code; anything longer may quote a citizen and is not shown
THE_AGGREGATOR = text("the aggregator")
_LONG_NUMBER = re.compile(r"\d{7}")  # may be a phone number

# Causes that an administrator can repair in the settings or at the aggregator, by HTTP status.
CAUSES = {
    401: text("user name, password or key of send is wrong"),
    403: text("user name, password or key of send is wrong, or our address is not allowed"),
    404: text("send.url is wrong"),
    405: text("send.method is wrong"),
}


class AggregatorApi:
    """The calls of the adapter; each raises only `Throttled`, `Unavailable` or `Rejected`."""

    def __init__(self, send: Send, sender: str, callback: str) -> None:
        """Open nothing yet."""
        self._send = send
        self._client = rest.Client(THE_AGGREGATOR, timeout=send.timeout)
        self._fixed = {name: secret.reveal() for name, secret in send.secrets.items()}
        self._fixed |= {"from": sender, "callback": callback}
        self._authorization = {"Authorization": authorization(send.basic)} if send.basic else {}

    def send(self, to: str, content: str, id_: str) -> str:
        """Send one text and return its id, which receipts have too."""
        values = {"to": to, "text": content, "hex": content.encode("utf-16-be", "replace").hex(), "id": id_}
        values |= self._fixed
        extra = self._send.gsm if gsm.fits_gsm7(content) else self._send.unicode
        parameters = {name: _filled_deep(value, values) for name, value in {**self._send.parameters, **extra}.items()}
        answer = self._call(parameters, {name: _filled(value, values) for name, value in self._send.headers.items()})
        document = _document(answer)
        code = _extracted(self._send.code, answer, document) if self._send.code else str(answer.status_code)
        outcome = self._outcome(code, answer.status_code)
        if outcome is not Outcome.SENT:
            raise _error(outcome, code, answer)
        if self._send.id is None:
            return id_
        # Without an id in the answer only the receipts are lost; a second attempt would send the message twice.
        return _extracted(self._send.id, answer, document) or id_

    def _call(self, parameters: Mapping[str, object], headers: dict[str, str]) -> requests.Response:
        send = self._send
        url, body = send.url, b""
        if send.method == "POST" and send.body == "json":
            body = msgspec.json.encode(parameters)
            headers.setdefault("Content-Type", "application/json")
        else:
            encoded = urlencode(parameters, encoding=send.charset, errors="replace")
            if send.method == "GET":
                url += ("&" if "?" in url else "?") + encoded
            else:
                body = encoded.encode()
                headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        return self._client.call(send.method, url, body=body or None, headers=headers | self._authorization)

    def _outcome(self, code: str, status: int) -> Outcome:
        """Return the meaning of an answer: by `send.outcomes`, else by its HTTP status; any other answer is tried again."""
        outcomes = self._send.outcomes
        configured = outcomes.get(code) or outcomes.get(str(status))
        if configured:
            return configured
        if status == 429:
            return Outcome.THROTTLED
        if 400 <= status < 500 and status not in rest.NOT_THE_MESSAGE:
            return Outcome.REJECTED
        return Outcome.SENT if 200 <= status < 300 and self._send.code is None else Outcome.UNAVAILABLE


def _error(outcome: Outcome, code: str, answer: requests.Response) -> Throttled | Unavailable | Rejected:
    error_text = _error_text(code, answer.status_code)
    if outcome is Outcome.REJECTED:
        return Rejected(error_text)
    if outcome is Outcome.THROTTLED:
        return Throttled(error_text, retry_after=rest.retry_after(answer.headers))
    error_text = rest.with_cause(error_text, CAUSES.get(answer.status_code))
    return Unavailable(error_text, retry_after=rest.retry_after(answer.headers))


def _error_text(code: str, status: int) -> str:
    if not code or code == str(status):
        return text("{api} answered HTTP {status}", api=THE_AGGREGATOR, status=status)
    if not _SHOWN.fullmatch(code) or _LONG_NUMBER.search(code):
        return text("{api} answered HTTP {status}, code not in outcomes", api=THE_AGGREGATOR, status=status)
    return text("{api} answered HTTP {status}, code {code}", api=THE_AGGREGATOR, status=status, code=code)


def _document(answer: requests.Response) -> object:
    try:
        return msgspec.json.decode(answer.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _extracted(place: str, answer: requests.Response, document: object) -> str:
    """Return the text at a path of the answer's JSON, or in the brackets of a /regex/; empty if there is none."""
    if place.startswith("/"):
        match = re.search(place[1:-1], answer.content.decode("utf-8", "replace"))
        return match[1] or "" if match else ""
    value = lookup(document, place)
    if isinstance(value, bool):
        return str(value).lower()  # as JSON writes it
    return str(value) if isinstance(value, str | int) else ""


def _filled(template: str, values: Mapping[str, str]) -> str:
    return PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), template)


def _filled_deep(value: object, values: Mapping[str, str]) -> object:
    if isinstance(value, str):
        return _filled(value, values)
    if isinstance(value, dict):
        return {name: _filled_deep(inner, values) for name, inner in value.items()}
    return [_filled_deep(inner, values) for inner in value] if isinstance(value, list) else value
