"""The keyed hashes by which the tables of the spool find messages and senders; equal in every table."""

from __future__ import annotations

from uuid import UUID

from gateway.storage.crypto import Keyring


def message_key(keyring: Keyring, region: str, channel: str, external_id: str) -> UUID:
    """Return the keyed hash of a message, by its id or its envelope's key on a channel."""
    return keyring.lookup("message", region, channel, external_id)


def sender_key(keyring: Keyring, region: str, channel: str, address: str) -> UUID:
    """Return the keyed hash of a citizen's address on a channel."""
    return keyring.lookup("sender", region, channel, address)


def reference_key(keyring: Keyring, region: str, channel: str, external_id: str) -> UUID:
    """Return the keyed hash of the id that a provider gave to a reply."""
    return keyring.lookup("reference", region, channel, external_id)
