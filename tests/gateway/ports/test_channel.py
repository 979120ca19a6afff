"""A configured channel: its id, and the adapter by the ports it implements."""

from __future__ import annotations

import pytest

from gateway.domain.channel import ChannelId
from gateway.ports import HTTP, JSON, Channel, recognise

REQUEST = b"POST https://x/in/00/sms HTTP/1.1\r\nhost: x\r\n\r\n{}"


@pytest.fixture
def channel() -> Channel:
    return Channel(region="00", name="sms", adapter_key="toy", adapter=object())


def test_a_channel_has_its_id(channel: Channel) -> None:
    assert channel.id == ChannelId("00", "sms")
    assert str(channel.id) == "00/sms"


@pytest.mark.parametrize("port", ["webhook", "poller", "listener", "joiner", "replier"])
def test_a_port_of_a_channel_is_its_adapter(channel: Channel, port: str) -> None:
    assert getattr(channel, port) is channel.adapter


def test_channels_are_equal_by_what_was_configured() -> None:
    adapter = object()
    first, second = (Channel(region="00", name="sms", adapter_key="toy", adapter=adapter) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("payload", "content_type"),
    [
        (REQUEST, HTTP),
        (b"GET /in/00/sms?text=x HTTP/1.0\r\n\r\n", HTTP),
        (b'{"id": 1}', JSON),
        (b'\r\n {"id": 1}', JSON),
        (b"", None),
        (b"[]", None),
        (b"HTTP/1.1 200 OK\r\n\r\n", None),
        (b"\x00\x00\x00\x10", None),
    ],
)
def test_a_bare_payload_is_recognised(payload: bytes, content_type: str | None) -> None:
    assert recognise(payload, {HTTP, JSON}) == content_type


@pytest.mark.parametrize("payload", [REQUEST, b"{}"])
def test_a_type_that_the_adapter_does_not_store_is_not_recognised(payload: bytes) -> None:
    assert recognise(payload, {"application/smpp"}) is None
