"""Test which settings the HTTP adapter accepts."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from adapters.sms.http.tests.support import example, kannel_call, make


@pytest.mark.parametrize(
    ("changes", "error_text"),
    [
        ({"auth": {"addresses": None, "token": None}}, "configure a check of the aggregator's calls"),
        ({"auth": {"none": "it is only a test"}}, "configure a check of the aggregator's calls"),
        ({"auth": {"addresses": None, "token": None, "none": "x"}}, "at least 10"),
        ({"auth": {"addresses": ["10.0.0.1/8"]}}, "host bits"),
        ({"auth": {"token": {"value": {"env": "KANNEL_TOKEN"}}}}, "a parameter or a header"),
        ({"auth": {"hmac": {"header": "X", "key": {"env": "KANNEL_TOKEN"}}}}, "signs no message"),
        ({"auth": {"hmac": {"header": "X", "key": {"env": "KANNEL_TOKEN"}, "base": "{nonce}"}}}, "nonce"),
        ({"auth": {"hmac": {"header": "X", "key": {"env": "KANNEL_TOKEN"}, "base": "{timestamp}{url}"}}}, "timestamp"),
        ({"receive": {"id": None, "sent_at": None}}, "second delivery"),
        ({"receive": {"same_within": 60}}, "same_within"),
        ({"receive": {"charset": "klingon"}}, "character set"),
        ({"receive": {"codings": {}}}, "go together"),
        ({"receive": {"parts": {"reference": "r"}}}, "all three"),
        ({"receive": {"parts": {"udh": "u", "number": "n"}}}, "all three"),
        ({"receive": {"utc_offset": "+25:00"}}, "pattern"),
        ({"receive": {"time_format": "kemarin"}}, "a pattern with a date"),
        ({"receive": {"time_format": "%H:%M"}}, "a pattern with a date"),
        ({"receive": {"time_format": "%Q"}}, "a pattern with a date"),
        ({"receive": {"answer": {"status": 500}}}, "299"),
        ({"send": {"url": "http://sms.example/send"}}, "https"),
        ({"send": {"url": "http://8.8.8.8/send"}}, "https"),
        ({"send": {"url": "https://u:p@sms.example/send"}}, "user name"),
        ({"send": {"url": "ftp://127.0.0.1/"}}, "https"),
        ({"send": {"id": "/(/"}}, "regular expression"),
        ({"send": {"id": "/no brackets/"}}, "brackets"),
        ({"send": {"outcomes": {"1": "rejected"}}}, "sent"),
        ({"send": {"gsm": {"x": "{nonsense}"}}}, "nonsense"),
        ({"send": {"parameters": {"text": "{text}"}}}, "{to}"),
        ({"send": {"parameters": {"to": "{to}", "text": "{text}", "deep": {"a": 1}}}}, "nest"),
        ({"send": {"headers": {"X": "{nonsense}"}}}, "nonsense"),
        ({"receipts": {"states": {"1": "arrived"}}}, "delivered"),
        ({"sender": "+62 812"}, "pattern"),
    ],
)
def test_wrong_settings_are_refused(changes: dict[str, object], error_text: str) -> None:
    with pytest.raises(ValidationError, match=error_text):
        example("kannel", **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"auth": {"addresses": None, "token": None, "none": "inside a closed network of the operator"}},
        {"send": {"url": "http://sms.example/send", "plain_http": "the aggregator has no https; inside a VPN"}},
        {"send": {"url": "http://192.168.1.5:13013/send"}},
        {"send": {"url": "https://sms.example/send"}},
    ],
)
def test_settings_that_need_a_reason(changes: dict[str, object]) -> None:
    assert example("kannel", **changes)


def test_a_channel_without_checks_accepts_every_call() -> None:
    adapter = make("kannel", auth={"addresses": None, "token": None, "none": "inside a closed network"})
    assert adapter.verify(replace(kannel_call(token=""), client="203.0.113.9")).key == "k1"
