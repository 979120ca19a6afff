"""How the simulated Twilio calls the gateway: forms, signatures and its rule of trying again.

Sources, under https://www.twilio.com/docs: messaging/guides/webhook-request, usage/webhooks/webhooks-security,
usage/webhooks/webhooks-connection-overrides.
"""

from __future__ import annotations

import hmac
import threading
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from gateway.testing.twilio_messages import VERSION, Message, segments
from gateway.wire import WebhookRequest

READ_TIMEOUT = 15.0  # seconds, as Twilio waits
FORM = "application/x-www-form-urlencoded; charset=UTF-8"

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a citizen's message; `status` is the gateway's HTTP status, `None` where it never answered.

    `error` is the kind of failure where it never answered, and what a refusal says.
    """

    sid: str
    status: int | None
    error: str | None = None


def sign(url: str, pairs: Pairs, key: str, algorithm: str = "sha1") -> str:
    """Return the X-Twilio-Signature of a form sent to a URL: base64(HMAC(key, URL + sorted names and values))."""
    text = url + "".join(name + value for name, value in sorted(set(pairs)))
    return b64encode(hmac.digest(key.encode(), text.encode(), algorithm)).decode()


def inbound_form(message: Message, account_sid: str, media_base: str) -> list[tuple[str, str]]:
    """Return the fields of an inbound message's webhook, in Twilio's order; `media_base` is the message's URL."""
    pairs = [("ToCountry", "ID"), ("ToState", ""), ("SmsMessageSid", message.sid)]
    pairs += [("NumMedia", str(len(message.media))), ("ToCity", ""), ("FromZip", ""), ("SmsSid", message.sid)]
    pairs += [("FromState", ""), ("SmsStatus", "received"), ("FromCity", ""), ("Body", message.body)]
    pairs += [("FromCountry", "ID"), ("To", message.to), ("ToZip", ""), ("NumSegments", segments(message.body))]
    pairs += [("MessageSid", message.sid), ("AccountSid", account_sid), ("From", message.from_)]
    for number, (sid, (content_type, _)) in enumerate(message.media.items()):
        pairs += [(f"MediaContentType{number}", content_type), (f"MediaUrl{number}", f"{media_base}/Media/{sid}")]
    return [*pairs, ("ApiVersion", VERSION)]


def receipt_form(message: Message, account_sid: str, status: str) -> list[tuple[str, str]]:
    """Return the fields of an outbound message's status callback."""
    pairs = [("SmsSid", message.sid), ("SmsStatus", status), ("MessageStatus", status), ("To", message.to)]
    if message.error_code:
        pairs.append(("ErrorCode", str(message.error_code)))
    pairs += [("MessageSid", message.sid), ("AccountSid", account_sid), ("From", message.from_)]
    return [*pairs, ("ApiVersion", VERSION)]


def signed_request(url: str, pairs: Pairs, token: str, sha256_key: tuple[str, str] | None = None) -> WebhookRequest:
    """Build a signed webhook; `sha256_key` (name, secret) signs with SHA-256 and names the key in a header."""
    target = url.partition("#")[0]  # a fragment never leaves the client
    headers = {"content-type": FORM, "accept": "*/*", "user-agent": "TwilioProxy/1.1"}
    headers["i-twilio-idempotency-token"] = str(uuid4())
    if sha256_key:
        headers["x-twilio-webhooks-signature-settings"] = f"key={sha256_key[0]},algorithm=HMAC_SHA256"
        headers["x-twilio-signature"] = sign(target, pairs, sha256_key[1], "sha256")
    else:
        headers["x-twilio-signature"] = sign(target, pairs, token)
    return WebhookRequest("POST", target, headers, urlencode(pairs).encode())


class Caller:
    """Sends webhooks over connections it keeps, one per thread."""

    def __init__(self) -> None:
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._open: list[requests.Session] = []

    def post(self, request: WebhookRequest, deliver_to: str | None) -> tuple[int | None, str | None]:
        """Send it; returns the HTTP status and what a refusal says, or `None` and the kind of failure.

        A refused connection is tried once more and nothing else is: Twilio's rule unless the URL overrides it.
        """
        url, headers = request.url, dict(request.headers)
        if deliver_to:
            public = urlsplit(url)
            url = deliver_to.rstrip("/") + public._replace(scheme="", netloc="").geturl()
            headers["host"] = public.netloc  # as a reverse proxy passes it on
        try:
            answer = self._session().post(
                url, data=request.body, headers=headers, timeout=READ_TIMEOUT, allow_redirects=False
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
        session: requests.Session | None = getattr(self._mine, "session", None)
        if session is None or session not in self._open:
            session = requests.Session()
            session.trust_env = False  # never through a proxy: the gateway is on this machine
            once_more = Retry(total=1, connect=1, read=False, redirect=False, status=False, other=False)
            session.mount("http://", HTTPAdapter(max_retries=once_more))
            session.mount("https://", HTTPAdapter(max_retries=once_more))
            self._mine.session = session
            with self._lock:
                self._open.append(session)
        return session
