"""Test signatures of webhooks."""

from __future__ import annotations

from typing import Literal

import pytest

from adapters.common.signature import keys_of, signed_by
from gateway.ports import Secret


@pytest.mark.parametrize(
    ("signature", "encoding", "valid"),
    [
        # RFC 4231, test case 2.
        (b"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", "hex", True),
        (b"5BDCC146BF60754E6A042426089575C75A003F089D2739839DEC58B964EC3843", "hex", True),
        (b"W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=", "base64", True),
        (b"w9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=", "base64", False),
        (b"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec384", "hex", False),
        (b"", "hex", False),
    ],
)
def test_signatures(signature: bytes, encoding: Literal["hex", "base64"], valid: bool) -> None:
    assert signed_by([b"before", b"Jefe"], b"what do ya want for nothing?", signature, "sha256", encoding) is valid


def test_keys_that_are_set() -> None:
    assert keys_of(Secret("now"), None, Secret("before")) == (b"now", b"before")
