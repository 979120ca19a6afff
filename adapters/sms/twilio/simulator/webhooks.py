"""Write and sign the webhooks of the simulated Twilio.

Sources, under https://www.twilio.com/docs: messaging/guides/webhook-request, usage/webhooks/webhooks-security.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Sequence
from urllib.parse import urlencode
from uuid import uuid4

from adapters.sms.twilio.simulator.messages import VERSION, Message
from gateway.ports.wire import WebhookRequest
from gateway.simulation.segments import segments

FORM = "application/x-www-form-urlencoded; charset=UTF-8"

Pairs = Sequence[tuple[str, str]]


def sign(url: str, pairs: Pairs, key: str, algorithm: str = "sha1") -> str:
    """Return the X-Twilio-Signature of a form sent to a URL: base64(HMAC(key, URL + sorted names and values))."""
    text = url + "".join(name + value for name, value in sorted(set(pairs)))
    return b64encode(hmac.digest(key.encode(), text.encode(), algorithm)).decode()


def inbound_form(message: Message, account_sid: str, media_base: str) -> list[tuple[str, str]]:
    """Return the fields of an inbound message's webhook, in Twilio's order; `media_base` is the message's URL."""
    pairs = [("ToCountry", "ID"), ("ToState", ""), ("SmsMessageSid", message.sid)]
    pairs += [("NumMedia", str(len(message.media))), ("ToCity", ""), ("FromZip", ""), ("SmsSid", message.sid)]
    pairs += [("FromState", ""), ("SmsStatus", "received"), ("FromCity", ""), ("Body", message.body)]
    pairs += [("FromCountry", "ID"), ("To", message.to), ("ToZip", ""), ("NumSegments", str(segments(message.body)))]
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
