"""HMAC signatures of webhooks, with the key that holds and the one before a change."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterable
from typing import Literal

from gateway.ports import Secret


def keys_of(*secrets: Secret | None) -> tuple[bytes, ...]:
    """Return the keys that are set, to be prepared once."""
    return tuple(secret.reveal().encode() for secret in secrets if secret)


def signed_by(
    keys: Iterable[bytes], signed: bytes, given: bytes, algorithm: str, encoding: Literal["hex", "base64"]
) -> bool:
    """Tell whether one of the keys made the signature that was given; hex digits may be capitals."""
    hexadecimal = encoding == "hex"
    shown = given.lower() if hexadecimal else given
    for key in keys:
        digest = hmac.digest(key, signed, algorithm)
        if hmac.compare_digest(digest.hex().encode() if hexadecimal else b64encode(digest), shown):
            return True
    return False
