"""Check HMAC signatures of webhooks, with the present key and, while keys are changed, the previous one."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterable
from typing import Literal

from gateway.ports import Secret


def keys_of(*secrets: Secret | None) -> tuple[bytes, ...]:
    """Return the secrets that are set, as bytes; call it once, not per request."""
    return tuple(secret.reveal().encode() for secret in secrets if secret)


def signed_by(
    keys: Iterable[bytes], content: bytes, signature: bytes, algorithm: str, encoding: Literal["hex", "base64"]
) -> bool:
    """Return whether one of the keys made this signature of the content; hex digits may be capitals.

    `algorithm` is the name of a hash as `hashlib` has it, such as "sha256".
    """
    hexadecimal = encoding == "hex"
    expected = signature.lower() if hexadecimal else signature
    for key in keys:
        digest = hmac.digest(key, content, algorithm)
        if hmac.compare_digest(digest.hex().encode() if hexadecimal else b64encode(digest), expected):
            return True
    return False
