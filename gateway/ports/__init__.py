"""What an adapter may implement, and the values that pass between it and the core."""

from __future__ import annotations

from gateway.ports.capabilities import Adapter, Channel, Joiner, Line, Listener, Poller, Replier, Translator, Webhook
from gateway.ports.secret import Secret
from gateway.ports.values import (
    HTTP,
    JSON,
    SMPP,
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
)
from gateway.ports.wire import Fields, WebhookRequest

__all__ = [
    "HTTP",
    "JSON",
    "SMPP",
    "Adapter",
    "Batch",
    "Channel",
    "ChannelContext",
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
]
