"""What clients of HTTP APIs share: a time limit on every call, the closed list of errors, no phone number in any log.

Imported by the clients only, and so on the first call out: a process that only receives needs no HTTP library.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from gateway.domain.errors import Rejected, Throttled, Unavailable

MAX_RETRY_AFTER = 3600.0  # seconds
MOST_BYTES = 32 * 1024 * 1024  # of one answer; a page of a phone's list with all its texts has a few
_CHUNK = 65_536

# Statuses of the 4xx that speak of the login, the way or the hour, and not of the message: it must live until then.
NOT_THE_MESSAGE = frozenset({401, 403, 404, 405, 407, 408, 425})


class Client:
    """Calls to one API, and to no other place: where it redirects to, neither login nor message follows."""

    def __init__(
        self, who: str, *, timeout: float, login: tuple[str, str] | None = None, use_proxies: bool = True
    ) -> None:
        """Open nothing yet; `who` names the API in errors, `timeout` in seconds holds for connecting and each read."""
        silence_queries()
        self._who, self._timeout = who, timeout
        self._session = requests.Session()
        # Without one, requests would look for a login in ~/.netrc and replace our header by it.
        self._session.auth = login or _as_it_is
        self._session.trust_env = use_proxies

    def call(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Return the whole answer, whatever its status; raises `Unavailable` where there is none."""
        try:
            with reaching(self._who):
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
        except ValueError as exc:  # what cannot be written into an HTTP request, as an emoji in a header
            raise Unavailable(f"{self._who} cannot be called ({type(exc).__name__})") from None

    def _read(self, answer: requests.Response) -> None:
        """Read the body: `requests` would take any size, and a byte every few seconds for ever."""
        deadline, body = time.monotonic() + 2 * self._timeout, bytearray()
        with answer:
            while chunk := answer.raw.read1(_CHUNK, decode_content=True):
                body += chunk
                if len(body) > MOST_BYTES:
                    raise Unavailable(f"{self._who} answered with more than {MOST_BYTES} bytes")
                if time.monotonic() > deadline:
                    raise Unavailable(f"{self._who} did not end its answer in time")
        answer.raw = BytesIO(body)


@contextmanager
def reaching(who: str) -> Iterator[None]:
    """Turn what `requests` raises into `Unavailable`; `from None`, for the originals quote URLs with phone numbers."""
    try:
        yield
    except (requests.Timeout, ReadTimeoutError):
        raise Unavailable(f"{who} did not answer in time") from None
    except (requests.RequestException, HTTPError) as exc:
        raise Unavailable(f"{who} cannot be reached ({type(exc).__name__})") from None


def failure(
    said: str, answer: requests.Response, *, fix: str | None = None, busy: bool = False
) -> Throttled | Unavailable | Rejected:
    """Return the error of an answer that is none of success.

    `fix` is what somebody can put right, `busy` that the API's own code asks us to slow down.
    """
    status, wait = answer.status_code, retry_after(answer.headers)
    if busy or status == 429:
        return Throttled(said, retry_after=wait)
    if fix or status in NOT_THE_MESSAGE or not 400 <= status < 500:
        return Unavailable(f"{said}: {fix}" if fix else said, retry_after=wait)
    return Rejected(said)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After header, where it says seconds."""
    value = headers.get("Retry-After", "")
    return min(float(value), MAX_RETRY_AFTER) if value.isascii() and value.isdigit() else None


def silence_queries() -> None:
    """Cut the query off the URLs that urllib3 logs at DEBUG: it holds a citizen's number, or a password."""
    logging.getLogger("urllib3.connectionpool").addFilter(_without_query)


def _without_query(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple(arg.partition("?")[0] if isinstance(arg, str) else arg for arg in record.args)
    return True


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
