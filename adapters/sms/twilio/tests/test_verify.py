"""Test which requests of Twilio are accepted."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator
from werkzeug.datastructures import MultiDict

from adapters.sms.twilio.simulator import FakeTwilio, sign
from adapters.sms.twilio.tests.support import CITIZEN, KEY, MESSAGE, OLD_TOKEN, TOKEN, URL, make
from gateway.domain.errors import Malformed, Unverified
from gateway.ports.wire import WebhookRequest
from gateway.testing.forge import stored

names = st.text(min_size=1, max_size=12)
pairs_of = st.lists(st.tuples(names, st.text(max_size=30)), max_size=12)
urls = st.sampled_from(
    [
        URL,
        "https://gateway.example:443/hooks/00/sms",
        "https://gateway.example:8443/hooks/00/sms?a=1&b=%20x",
        "http://gateway.example/hooks/00/sms",
        "http://gateway.example:80/hooks/00/sms?x",
        "https://gateway.example/hooks/00/sms;v=1?q=é",
        "https://gateway.example",
    ]
)


@settings(deadline=None, max_examples=300)
@given(
    pairs=pairs_of, url=urls, signed_url=urls, sha256=st.booleans(), tamper=st.booleans(), token=st.sampled_from("ab")
)
def test_agrees_with_the_sdk(
    pairs: list[tuple[str, str]], url: str, signed_url: str, sha256: bool, tamper: bool, token: str
) -> None:
    # Twilio always sends a MessageSid; a request without it is Malformed, which is another test.
    pairs = [*pairs, ("MessageSid", MESSAGE)]
    body = urlencode(pairs).encode()
    algorithm = "HMAC_SHA256" if sha256 else "HMAC_SHA1"
    oracle = RequestValidator({"a": TOKEN, "b": "somebody else's"}[token])
    signature = oracle.compute_signature(signed_url, MultiDict(pairs), algorithm)
    if tamper:
        pairs, body = [*pairs, ("X", "y")], body + b"&X=y"
    headers = {"x-twilio-signature": signature}
    if sha256:
        headers["x-twilio-webhooks-signature-settings"] = "key=unknown,algorithm=HMAC_SHA256"
    valid = RequestValidator(TOKEN).validate(url, MultiDict(pairs), signature, algorithm)
    request = WebhookRequest("POST", url, headers, body)
    adapter = make()
    if valid:
        adapter.verify(request)
    else:
        with pytest.raises(Unverified):
            adapter.verify(request)


@given(pairs=pairs_of, url=urls, sha256=st.booleans())
def test_simulator_signs_as_the_sdk(pairs: list[tuple[str, str]], url: str, sha256: bool) -> None:
    oracle = RequestValidator(TOKEN).compute_signature(url, MultiDict(pairs), "HMAC_SHA256" if sha256 else "HMAC_SHA1")
    assert sign(url, pairs, TOKEN, "sha256" if sha256 else "sha1") == oracle


def signed(headers: dict[str, str], *, key: str = TOKEN, algorithm: str = "sha1") -> WebhookRequest:
    pairs = [("MessageSid", MESSAGE), ("From", CITIZEN), ("To", "1708"), ("Body", "x")]
    headers = {"x-twilio-signature": sign(URL, pairs, key, algorithm)} | headers
    return WebhookRequest("POST", URL, headers, urlencode(pairs).encode())


@pytest.mark.parametrize(
    ("header", "key", "algorithm", "valid"),
    [
        (None, TOKEN, "sha1", True),
        (None, OLD_TOKEN, "sha1", True),
        (None, KEY, "sha1", False),
        ("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256", KEY, "sha256", True),
        (" algorithm = hmac_sha256 , key = webhooks_sharedkey_1 ", KEY, "sha256", True),
        ("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256", TOKEN, "sha256", False),
        ("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256", KEY, "sha1", False),
        ("key=other,algorithm=HMAC_SHA256", TOKEN, "sha256", True),
        ("key=other", TOKEN, "sha1", True),
        ("algorithm=HMAC_MD5", TOKEN, "md5", False),
        ("nonsense", TOKEN, "sha1", True),
        ("", TOKEN, "sha1", True),
    ],
)
def test_which_key_signs(header: str | None, key: str, algorithm: str, valid: bool) -> None:
    request = signed(
        {} if header is None else {"x-twilio-webhooks-signature-settings": header}, key=key, algorithm=algorithm
    )
    if valid:
        assert make().verify(request).key == MESSAGE
    else:
        with pytest.raises(Unverified):
            make().verify(request)


def test_rotated_token_is_forgotten_once_removed() -> None:
    with pytest.raises(Unverified):
        make(previous_auth_token=None).verify(signed({}, key=OLD_TOKEN))


@pytest.mark.parametrize("sid", ["", "SM 1", "SM\x00", "S" * 65, "é", MESSAGE + "0", "XX" + MESSAGE[2:]])
def test_misshapen_sid_is_malformed(fake: FakeTwilio, sid: str) -> None:
    with pytest.raises(Malformed):
        make().verify(fake.signed([("MessageSid", sid), ("Body", "x")]))


def test_misshapen_status_is_malformed(fake: FakeTwilio) -> None:
    with pytest.raises(Malformed):
        make().verify(fake.signed([("MessageSid", MESSAGE), ("MessageStatus", "a\x00b")]))


def test_first_of_a_repeated_field_counts(fake: FakeTwilio) -> None:
    request = fake.signed([("MessageSid", MESSAGE), ("From", CITIZEN), ("To", "1708"), ("Body", "a"), ("Body", "b")])
    assert make().verify(request).key == MESSAGE
    (event,) = make().translate(stored(request))
    assert event.text == "a"


def test_answer_is_empty_twiml() -> None:
    answer = make().accepted(signed({}))
    assert answer.status == 200
    assert answer.content_type == "text/xml"
    assert answer.body.endswith(b"<Response/>")
