"""Encryption at rest and lookups."""

from __future__ import annotations

import pytest

from gateway.domain.errors import Undecryptable
from gateway.storage.crypto import Keyring, new_key, parse_key

OLD, NEW, LOOKUP = b"o" * 32, b"n" * 32, b"l" * 32


def test_what_is_encrypted_comes_back_and_is_never_the_same_twice(keyring: Keyring) -> None:
    sealed = [keyring.encrypt(b"Jalan rusak", b"inbox") for _ in range(2)]
    assert [keyring.decrypt(value, b"inbox") for value in sealed] == [b"Jalan rusak"] * 2
    assert sealed[0] != sealed[1]
    assert b"Jalan" not in sealed[0]


def test_a_value_copied_into_another_column_does_not_decrypt(keyring: Keyring) -> None:
    sealed = keyring.encrypt(b"+6281200000001", b"contact")
    for purpose in (b"inbox", b"outbox", b"case", b"reporter", b""):
        with pytest.raises(Undecryptable, match="changed or cut"):
            keyring.decrypt(sealed, purpose)


def test_a_changed_or_cut_value_does_not_decrypt(keyring: Keyring) -> None:
    sealed = keyring.encrypt(b"Jalan rusak", b"inbox")
    broken = [sealed[:-1], sealed[:20], sealed[:16], sealed[:10], sealed[:4], sealed + b"x"]
    broken += [sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :] for place in range(4, len(sealed))]
    for value in broken:
        with pytest.raises(Undecryptable):
            keyring.decrypt(value, b"inbox")


@pytest.mark.parametrize("stored", [b"", b"x", b"\x00" * 100])
def test_garbage_names_the_key_that_is_missing(keyring: Keyring, stored: bytes) -> None:
    with pytest.raises(Undecryptable, match="put the old key back"):
        keyring.decrypt(stored, b"inbox")


def test_the_first_key_encrypts_and_all_decrypt() -> None:
    before, after = Keyring([OLD], LOOKUP), Keyring([NEW, OLD], LOOKUP)
    sealed = before.encrypt(b"x", b"inbox")
    assert after.decrypt(sealed, b"inbox") == b"x"
    assert not after.is_current(sealed)
    assert after.is_current(after.encrypt(b"x", b"inbox"))
    with pytest.raises(Undecryptable):
        before.decrypt(after.encrypt(b"x", b"inbox"), b"inbox")


def test_lookups_are_equal_for_equal_values_and_depend_on_the_lookup_key_only() -> None:
    before, after, other = Keyring([OLD], LOOKUP), Keyring([NEW], LOOKUP), Keyring([OLD], b"m" * 32)
    found = before.lookup("sender", "00", "sms", "+6281200000001")
    assert (
        found
        == before.lookup("sender", "00", "sms", "+6281200000001")
        == after.lookup("sender", "00", "sms", "+6281200000001")
    )
    assert found != other.lookup("sender", "00", "sms", "+6281200000001")
    assert found != before.lookup("message", "00", "sms", "+6281200000001")
    assert before.lookup("a", "bc") != before.lookup("ab", "c")
    assert before.lookup("\ud800") != before.lookup("")


def test_a_new_key_can_be_read() -> None:
    assert len(parse_key(new_key())) == 32
    assert new_key() != new_key()


@pytest.mark.parametrize("text", ["", "kunci rahasia", "aGVsbG8=", "é"])
def test_what_is_no_key_says_how_to_make_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"run_gateway.py keys new"):
        parse_key(text)


def test_a_ring_without_keys_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one key"):
        Keyring([], LOOKUP)
