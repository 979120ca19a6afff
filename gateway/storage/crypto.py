"""Encrypt stored values (AES-256-GCM), and hash addresses with a key, so that senders are found without their address.

A stored value is `fingerprint (4 bytes) | nonce (12 bytes) | ciphertext and tag`. The fingerprint identifies the key,
so old values stay readable if a new key is put first in the list. The purpose of the column ("inbox", "contact", …)
is authenticated with the value: a value that was copied into another column cannot be decrypted.
"""

from __future__ import annotations

import base64
import binascii
import os
import threading
from collections.abc import Sequence
from hashlib import blake2b, sha256
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.domain.errors import Undecryptable
from gateway.domain.texts import text

KEY_BYTES = 32
_NONCE = 12
_HEAD = 4 + _NONCE


def new_key() -> str:
    """Return a new random key as base64 text, the form of key files."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


def parse_key(encoded: str) -> bytes:
    """Return the 32 bytes of a base64 key; raises `ValueError` for any other form."""
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise ValueError(text("a key is 32 random bytes in base64; make one with `run_gateway.py keys new`")) from exc
    if len(key) != KEY_BYTES:
        raise ValueError(
            text(
                "a key is 32 bytes in base64, this one has {value}; `run_gateway.py keys new` makes one", value=len(key)
            )
        )
    return key


class Keyring:
    """The keys of one installation: the first encrypts, all decrypt."""

    def __init__(self, keys: Sequence[bytes], lookup_key: bytes) -> None:
        if not keys:
            raise ValueError(text("a key ring needs at least one key"))
        self._ciphers = {_fingerprint(key): AESGCM(key) for key in keys}
        self._active = _fingerprint(keys[0])
        self._active_cipher = self._ciphers[self._active]
        self._nonce_lock = threading.Lock()
        self._start_nonces()
        os.register_at_fork(after_in_child=self._start_nonces)
        # A copy of a hash state is cheaper than a new state with the key, and `lookup` runs for every message.
        self._lookup = blake2b(key=lookup_key, digest_size=16)

    def encrypt(self, plain: bytes, purpose: bytes) -> bytes:
        """Return the stored form of a value, encrypted with the first key."""
        nonce = self._nonce()
        return self._active + nonce + self._active_cipher.encrypt(nonce, plain, purpose)

    def _start_nonces(self) -> None:
        """Begin a series of nonces: 8 random bytes and a counter (NIST SP 800-38D, 8.2.1), one series per process."""
        prefix = os.urandom(_NONCE - 4)
        self._nonces = (prefix + number.to_bytes(4, "big") for number in range(2**32))

    def _nonce(self) -> bytes:
        with self._nonce_lock:
            nonce = next(self._nonces, None)
            if nonce is None:
                self._start_nonces()
                nonce = next(self._nonces)
            return nonce

    def decrypt(self, stored: bytes, purpose: bytes) -> bytes:
        """Return the plain value; raises `Undecryptable`."""
        cipher = self._ciphers.get(stored[:4])
        if cipher is None:
            raise Undecryptable(
                text("key {key} is not in [encryption] keys; put the old key back into the list", key=stored[:4].hex())
            )
        try:
            return cipher.decrypt(stored[4:_HEAD], stored[_HEAD:], purpose)
        except (InvalidTag, ValueError) as exc:  # ValueError: too short to hold a nonce
            raise Undecryptable(text("a stored value was changed or cut")) from exc

    def missing(self, stored: bytes) -> str | None:
        """Return the fingerprint of a stored value's key if the ring does not have the key, else `None`."""
        return None if stored[:4] in self._ciphers else stored[:4].hex()

    def is_current(self, stored: bytes) -> bool:
        """Return whether a value is encrypted with the first key."""
        return stored[:4] == self._active

    def lookup(self, *parts: str) -> UUID:
        """Return a keyed hash of the parts. Equal parts have equal hashes; without the key nobody can test a guess."""
        state = self._lookup.copy()
        state.update("\x1f".join(parts).encode("utf-8", "surrogatepass"))
        return UUID(int=int.from_bytes(state.digest(), "big"))


def _fingerprint(key: bytes) -> bytes:
    return sha256(b"lapor-gateway key " + key).digest()[:4]
