"""Call HTTP APIs with a time limit on every call, the closed list of errors, and no phone number in any log.

Only clients import this module, on their first call: a process that only receives needs no HTTP library.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from gateway.domain.errors import Rejected, Throttled, Unavailable
from gateway.domain.texts import text

MAX_RETRY_AFTER = 3600.0  # seconds
MOST_BYTES = 32 * 1024 * 1024  # of one answer; a page of a phone's list of messages has a few megabytes
_CHUNK = 65_536

# These 4xx are about the login, the address or the time, not about the message: the message must be kept and sent later.
NOT_THE_MESSAGE = frozenset({401, 403, 404, 405, 407, 408, 425})


class Client:
    """A client of one API; it follows no redirect, so that login and message reach no other host."""

    def __init__(
        self, api: str, *, timeout: float, login: tuple[str, str] | None = None, use_proxies: bool = True
    ) -> None:
        """Open nothing yet; `api` names the API in errors, `timeout` in seconds is for connecting and for each read."""
        silence_queries()
        self._api = api
        self._timeout = timeout
        self._session = requests.Session()
        # Without an `auth`, requests would look for a login in ~/.netrc and replace our header with it.
        self._session.auth = login or _unchanged
        self._session.trust_env = use_proxies

    def call(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Return the whole answer, of any status; raises `Unavailable` if there is none."""
        try:
            with reaching(self._api):
                answer = self._session.request(
                    method,
                    url,
                    params=query,
                    data=body,
                    headers=headers,
                    timeout=self._timeout,
                    allow_redirects=False,
                    stream=True,
                )
                self._read(answer)
                return answer
        except ValueError as exc:  # a value that HTTP cannot carry, such as an emoji in a header
            raise Unavailable(text("{api} cannot be called ({name})", api=self._api, name=type(exc).__name__)) from None

    def _read(self, answer: requests.Response) -> None:
        """Read the body within a limit of size and time; `requests` alone would read a slow or endless answer for ever."""
        deadline, body = time.monotonic() + 2 * self._timeout, bytearray()
        with answer:
            while chunk := answer.raw.read1(_CHUNK, decode_content=True):
                body += chunk
                if len(body) > MOST_BYTES:
                    raise Unavailable(
                        text("{api} answered with more than {number} bytes", api=self._api, number=MOST_BYTES)
                    )
                if time.monotonic() > deadline:
                    raise Unavailable(text("{api} did not end its answer in time", api=self._api))
        answer.raw = BytesIO(body)


@contextmanager
def reaching(api: str) -> Iterator[None]:
    """Turn errors of `requests` into `Unavailable`, `from None`: the originals quote URLs with phone numbers."""
    try:
        yield
    except (requests.Timeout, ReadTimeoutError):
        raise Unavailable(text("{api} did not answer in time", api=api)) from None
    except (requests.RequestException, HTTPError) as exc:
        raise Unavailable(text("{api} cannot be reached ({name})", api=api, name=type(exc).__name__)) from None


def failure(
    error_text: str, answer: requests.Response, *, cause: str | None = None, busy: bool = False
) -> Throttled | Unavailable | Rejected:
    """Return the error for an answer that is not a success; it decides if the reply is sent again.

    `cause` is the text of a cause that an administrator can repair. `busy` is true if the API's own code means "too many
    requests".
    """
    status, wait = answer.status_code, retry_after(answer.headers)
    if busy or status == 429:
        return Throttled(error_text, retry_after=wait)
    if cause or status in NOT_THE_MESSAGE or not 400 <= status < 500:
        return Unavailable(with_cause(error_text, cause), retry_after=wait)
    return Rejected(error_text)


def with_cause(error_text: str, cause: str | None) -> str:
    """Return an error text with its cause, if that is known."""
    return text("{problem}; cause: {cause}", problem=error_text, cause=cause) if cause else error_text


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After header, at most `MAX_RETRY_AFTER`; `None` if it is absent or a date."""
    value = headers.get("Retry-After", "")
    return min(float(value), MAX_RETRY_AFTER) if value.isascii() and value.isdigit() else None


def silence_queries() -> None:
    """Remove the query from the URLs that urllib3 logs at DEBUG: it may hold a citizen's number or a password."""
    logging.getLogger("urllib3.connectionpool").addFilter(_without_query)


def _without_query(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple(arg.partition("?")[0] if isinstance(arg, str) else arg for arg in record.args)
    return True


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
