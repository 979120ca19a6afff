"""Read untrusted input: the HTTP request of a provider, and named fields of a checked type."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from urllib.parse import unquote_to_bytes

import msgspec

from gateway.domain.errors import Malformed, Untranslatable
from gateway.domain.texts import text

__all__ = ["Fields", "WebhookRequest", "form_pairs", "json_fields", "media_type"]


class Fields:
    """Untrusted named values; each is read as a text or a number.

    A missing field, or one of another type, raises `Untranslatable` with the field's name, never `KeyError`.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def need(self, name: str) -> str:
        """Return a text; raises `Untranslatable` if it is missing or empty."""
        value = self.get(name)
        if not value:
            raise Untranslatable(text("field {name} is missing", name=name))
        return value

    def get(self, name: str, default: str = "") -> str:
        """Return a text, or the default if the field is absent or null."""
        value = self._values.get(name)
        if value is None:
            return default
        if isinstance(value, bytes):
            try:
                return value.decode("utf-8")
            except UnicodeDecodeError as exc:
                raise Untranslatable(text("field {name} is not UTF-8", name=name)) from exc
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise Untranslatable(text("field {name} is not text", name=name))
        return str(value)

    def number(self, name: str, default: int = 0) -> int:
        """Return a whole number of at most nine digits, or the default if the field is absent or empty."""
        digits = self.get(name)
        if not digits:
            return default
        if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
            raise Untranslatable(text("field {name} is not a number", name=name))
        return int(digits)


def form_pairs(body: bytes) -> list[tuple[bytes, bytes]]:
    """Split an `application/x-www-form-urlencoded` body into decoded pairs, in their order; keep empty values.

    Bytes, not text: a signature covers the bytes that were sent, also if they are not valid UTF-8.
    """
    pairs = []
    for part in body.replace(b"+", b" ").split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            if 37 in part:  # "%" as a number: this runs for every request, and bytes in bytes is five times slower
                name, value = unquote_to_bytes(name), unquote_to_bytes(value)
            pairs.append((name, value))
    return pairs


def media_type(headers: Mapping[str, str]) -> str:
    """Return the content type without its parameters, in lower case; the headers' names must be in lower case."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def json_fields(content: bytes) -> Fields:
    """Return the fields of a JSON object; raises `Untranslatable` for anything else."""
    try:
        values = msgspec.json.decode(content)
    except (
        msgspec.DecodeError,
        UnicodeDecodeError,
        RecursionError,
    ) as exc:  # RecursionError: too many brackets inside brackets
        raise Untranslatable(text("the payload is not JSON")) from exc
    if not isinstance(values, dict):
        raise Untranslatable(text("the payload is not a JSON object"))
    return Fields(values)


class WebhookRequest(msgspec.Struct, frozen=True):
    """One HTTP request of a provider; `url` is the public one, from the configuration, never from the proxy."""

    method: str
    url: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    client: str = ""  # the client's IP address, without our trusted proxies; for `verify` only, it is not stored
    lines: bytes = b""  # the header lines as received, if the door has them: `dump` then does not write them again

    def form(self) -> Fields:
        """Return the body's form fields; the first value of a repeated field counts."""
        # Reversed: of equal names a dict keeps the last.
        return Fields({name.decode("utf-8", "replace"): value for name, value in reversed(form_pairs(self.body))})

    def json(self) -> Fields:
        """Return the fields of a JSON object in the body; raises `Untranslatable` for anything else."""
        return json_fields(self.body)

    def query(self) -> Fields:
        """Return the fields of the URL's query; the first value of a repeated field counts."""
        pairs = reversed(form_pairs(self.url.partition("?")[2].encode("latin-1", "replace")))
        return Fields({name.decode("utf-8", "replace"): value for name, value in pairs})

    def dump(self, *, without: Collection[str] = ()) -> bytes:
        """Return the request as bytes in HTTP/1.1 form: request line, headers, blank line, body."""
        if self.lines and self.headers.keys().isdisjoint(without):
            return b"%b %b HTTP/1.1\r\n%b\r\n%b" % (self.method.encode(), self.url.encode(), self.lines, self.body)
        lines = [f"{self.method} {self.url} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.headers.items() if name not in without]
        return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + self.body

    @classmethod
    def load(cls, stored: bytes) -> WebhookRequest:
        """Read bytes that `dump` wrote, or a request file; raises `Malformed` for anything else."""
        head, blank, body = stored.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        if not blank or len(words) != 3:
            raise Malformed(text("not an HTTP request: request line, headers, blank line, all ended by CR LF"))
        headers = {}
        for line in rest:
            name, colon, value = line.partition(":")
            if not colon:
                raise Malformed(text("a header line has no colon"))
            headers[name.strip().lower()] = value.strip()
        return cls(words[0], words[1], headers, body)
