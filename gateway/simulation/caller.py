"""Send the webhooks of a simulated provider to the gateway, with Twilio's timeout and retry.

Source: https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from gateway.ports.wire import WebhookRequest

READ_TIMEOUT = 15.0  # seconds, Twilio's default


@dataclass(frozen=True, slots=True)
class Sent:
    """The gateway's answer to a citizen's message."""

    sid: str  # the provider's id of the message
    status: int | None  # HTTP status; `None` if the gateway did not answer
    error: str | None = None  # the text of a refusal, or the kind of failure if the gateway did not answer


class Caller:
    """Send webhooks over connections that stay open, one per thread."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open: list[requests.Session] = []

    def send(self, request: WebhookRequest, deliver_to: str | None) -> tuple[int | None, str | None]:
        """Send a request; return the HTTP status and the text of a refusal, or `None` and the kind of failure.

        `deliver_to` is the base URL to connect to instead of the request's. Only a failed connection is tried once
        more: this is Twilio's default, and other providers try at least as often.
        """
        url, headers = request.url, dict(request.headers)
        if deliver_to:
            public = urlsplit(url)
            url = deliver_to.rstrip("/") + public._replace(scheme="", netloc="").geturl()
            headers["host"] = public.netloc  # as a reverse proxy passes it on
        try:
            answer = self._session().request(
                request.method, url, data=request.body, headers=headers, timeout=READ_TIMEOUT, allow_redirects=False
            )
        except requests.RequestException as exc:
            return None, type(exc).__name__
        return answer.status_code, None if answer.ok else answer.text[:300].strip() or None

    def close(self) -> None:
        """Close every connection; the next call opens new ones."""
        with self._lock:
            closing, self._open = self._open, []
        for session in closing:
            session.close()

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None or session not in self._open:
            session = requests.Session()
            session.trust_env = False  # never through a proxy: the gateway is on this machine
            once_more = Retry(total=1, connect=1, read=False, redirect=False, status=False, other=False)
            session.mount("http://", HTTPAdapter(max_retries=once_more))
            session.mount("https://", HTTPAdapter(max_retries=once_more))
            self._local.session = session
            with self._lock:
                self._open.append(session)
        return session
