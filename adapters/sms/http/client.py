"""One call to an aggregator, written and understood as `send` says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
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

_SHOWN = re.compile(r"[\w.-]{1,32}", re.ASCII)  # a code that may be told to the operator: no sentence, and no number
_LONG_NUMBER = re.compile(r"\d{7}")

# What an operator can put right.
FIXES = {
    401: "user name, password or key of send is wrong",
    403: "user name, password or key of send is wrong, or our address is not allowed",
    404: "send.url is wrong",
    405: "send.method is wrong",
}


class Aggregator:
    """Sends texts; raises `Throttled`, `Unavailable` or `Rejected`, and nothing else."""

    def __init__(self, send: Send, sender: str, callback: str) -> None:
        """Open nothing yet."""
        self._send, self._client = send, rest.Client("the aggregator", timeout=send.timeout)
        self._fixed = {name: secret.reveal() for name, secret in send.secrets.items()}
        self._fixed |= {"from": sender, "callback": callback}
        self._authorization = {"Authorization": authorization(send.basic)} if send.basic else {}

    def send(self, to: str, text: str, id_: str) -> str:
        """Send one text and return the id under which receipts will speak of it."""
        values = {"to": to, "text": text, "hex": text.encode("utf-16-be", "replace").hex(), "id": id_, **self._fixed}
        more = self._send.gsm if gsm.fits_gsm7(text) else self._send.unicode
        parameters = {name: _deep(value, values) for name, value in {**self._send.parameters, **more}.items()}
        answer = self._call(parameters, {name: _filled(text, values) for name, text in self._send.headers.items()})
        document = _document(answer)
        code = _extracted(self._send.code, answer, document) if self._send.code else str(answer.status_code)
        outcome = self._outcome(code, answer.status_code)
        if outcome is not Outcome.SENT:
            raise _error(outcome, code, answer)
        if self._send.id is None:
            return id_
        found = _extracted(self._send.id, answer, document)
        if not found:
            # It went out: without the id only its receipts are lost, while a second attempt would reach them twice.
            return id_
        return found

    def _call(self, parameters: Mapping[str, Any], headers: dict[str, str]) -> requests.Response:
        send = self._send
        url, body = send.url, b""
        if send.method == "POST" and send.body == "json":
            body = msgspec.json.encode(parameters)
            headers.setdefault("Content-Type", "application/json")
        else:
            written = urlencode(parameters, encoding=send.charset, errors="replace")
            if send.method == "GET":
                url += ("&" if "?" in url else "?") + written
            else:
                body = written.encode()
                headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        return self._client.call(send.method, url, body=body or None, headers=headers | self._authorization)

    def _outcome(self, code: str, status: int) -> Outcome:
        """Return what an answer means: the operator's table first, then HTTP; what nobody explained is tried again."""
        outcomes = self._send.outcomes
        told = outcomes.get(code) or outcomes.get(str(status))
        if told:
            return told
        if status == 429:
            return Outcome.THROTTLED
        if 400 <= status < 500 and status not in rest.NOT_THE_MESSAGE:
            return Outcome.REJECTED
        return Outcome.SENT if 200 <= status < 300 and self._send.code is None else Outcome.UNAVAILABLE


def _error(outcome: Outcome, code: str, answer: requests.Response) -> Throttled | Unavailable | Rejected:
    said = f"the aggregator answered HTTP {answer.status_code}"
    if code and code != str(answer.status_code):
        private = not _SHOWN.fullmatch(code) or _LONG_NUMBER.search(code)
        said += ", code not in outcomes" if private else f", code {code}"
    if outcome is Outcome.REJECTED:
        return Rejected(said)
    if outcome is Outcome.THROTTLED:
        return Throttled(said, retry_after=rest.retry_after(answer.headers))
    fix = FIXES.get(answer.status_code)
    return Unavailable(f"{said}: {fix}" if fix else said, retry_after=rest.retry_after(answer.headers))


def _document(answer: requests.Response) -> Any:
    try:
        return msgspec.json.decode(answer.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _extracted(where: str, answer: requests.Response, document: Any) -> str:
    """Return what stands at a path of the answer's JSON, or in the brackets of a /regex/; empty where nothing does."""
    if where.startswith("/"):
        found = re.search(where[1:-1], answer.content.decode("utf-8", "replace"))
        return found[1] or "" if found else ""
    value = lookup(document, where)
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, str | int) else ""


def _filled(template: str, values: Mapping[str, str]) -> str:
    return PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), template)


def _deep(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _filled(value, values)
    if isinstance(value, dict):
        return {name: _deep(inner, values) for name, inner in value.items()}
    return [_deep(inner, values) for inner in value] if isinstance(value, list) else value
