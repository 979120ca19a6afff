"""The ports that an adapter may implement, and the values that pass between it and the core."""

from __future__ import annotations

from gateway.domain.channel import ChannelId
from gateway.ports.capabilities import Adapter, Joiner, Line, Listener, Poller, Replier, Translator, Webhook
from gateway.ports.channel import Channel
from gateway.ports.secret import Secret
from gateway.ports.values import (
    HTTP,
    JSON,
    Batch,
    ChannelContext,
    ChannelSettings,
    Clock,
    Envelope,
    FetchedMessage,
    RawMessage,
    Receipt,
    Reply,
    Response,
    recognise,
)
from gateway.ports.wire import Fields, WebhookRequest

__all__ = [
    "HTTP",
    "JSON",
    "Adapter",
    "Batch",
    "Channel",
    "ChannelContext",
    "ChannelId",
    "ChannelSettings",
    "Clock",
    "Envelope",
    "FetchedMessage",
    "Fields",
    "Joiner",
    "Line",
    "Listener",
    "Poller",
    "RawMessage",
    "Receipt",
    "Replier",
    "Reply",
    "Response",
    "Secret",
    "Translator",
    "Webhook",
    "WebhookRequest",
    "recognise",
]
