"""The values that pass between adapters and the core: untrusted fields, and requests kept byte for byte."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import Malformed, Untranslatable
from gateway.ports.wire import Fields, WebhookRequest, form_pairs, media_type

_token = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12)
_value = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=30)


@given(st.dictionaries(_token, _value.map(str.strip), max_size=5), st.binary(max_size=200), st.binary(max_size=20))
def test_a_request_comes_back_byte_for_byte(headers: dict[str, str], body: bytes, query: bytes) -> None:
    url = "https://lapor.example.go.id/in/00/sms?" + query.hex()
    request = WebhookRequest("POST", url, headers, body)
    assert WebhookRequest.load(request.dump()) == request


@pytest.mark.parametrize(
    "stored", [b"", b"\r\n\r\n", b"POST /\r\n\r\n", b"POST / HTTP/1.1", b"POST / HTTP/1.1\r\nx\r\n\r\n"]
)
def test_what_is_no_request_is_malformed(stored: bytes) -> None:
    with pytest.raises(Malformed):
        WebhookRequest.load(stored)


@given(st.binary(max_size=200))
def test_any_body_is_split_into_pairs(body: bytes) -> None:
    for name, value in form_pairs(body):
        assert isinstance(name, bytes)
        assert isinstance(value, bytes)


def test_a_form_keeps_blanks_order_and_the_first_of_a_repeated_name() -> None:
    pairs = form_pairs(b"a=1&b=&a=2&=x&c&d=%2B+%41&&e=a=b")
    assert pairs == [(b"a", b"1"), (b"b", b""), (b"a", b"2"), (b"", b"x"), (b"c", b""), (b"d", b"+ A"), (b"e", b"a=b")]
    form = WebhookRequest("POST", "https://x", {}, b"a=1&a=2&b=").form()
    assert form.get("a") == "1"
    assert form.get("b") == ""
    assert ("b" in form) is True
    assert ("z" in form) is False


def test_a_field_is_never_read_without_saying_what_it_must_be() -> None:
    fields = Fields(
        {"text": "x", "number": 7, "flag": True, "list": [], "none": None, "bad": b"\xff", "long": "1" * 10}
    )
    assert fields.need("text") == "x"
    assert fields.get("number") == "7"
    assert fields.number("number") == 7
    assert fields.get("none") == ""
    assert fields.get("absent", "lain") == "lain"
    assert fields.number("absent", 3) == 3
    wrong: list[tuple[Any, str]] = [
        (fields.need, "absent"),
        (fields.need, "none"),
        (fields.get, "flag"),
        (fields.get, "list"),
        (fields.get, "bad"),
        (fields.number, "text"),
        (fields.number, "long"),
    ]
    for read, name in wrong:
        with pytest.raises(Untranslatable, match=f"field {name} "):
            read(name)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"a":' * 100_000])
def test_what_is_no_json_object_is_untranslatable(body: bytes) -> None:
    with pytest.raises(Untranslatable):
        WebhookRequest("POST", "https://x", {}, body).json()


@pytest.mark.parametrize(
    ("header", "kind"), [("Application/JSON ; charset=x", "application/json"), ("", ""), ("text/plain", "text/plain")]
)
def test_a_media_type_is_without_parameters_and_in_lower_case(header: str, kind: str) -> None:
    assert media_type({"content-type": header}) == kind
