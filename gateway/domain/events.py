"""What adapters turn raw messages into: a closed list."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from gateway.domain.complaint import Attachment


class CitizenMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message that somebody wrote to us on a channel."""

    external_id: str  # unique in the channel for ever; the same message has the same id however it reaches us
    # The id is a hash of number and text, not the provider's own. Who knows the text could try all numbers against it:
    # the centre never gets it.
    made_id: bool = False
    sender: str  # the address as the provider gives it; enrich makes a phone E.164
    recipient: str  # our own address that was written to
    text: str
    sent_at: datetime | None = None
    sender_name: str | None = None
    sender_is_phone: bool = True  # a phone that is no ordinary number (1708, "TELKOMSEL") is never answered
    attachments: tuple[Attachment, ...] = ()


class MessagePart(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a long message. The core waits for the others, and then lets the adapter join them (`ports.Joiner`)."""

    group: str  # what all parts of the message have in common, and no other message of the sender at that time
    number: int  # from 1
    total: int
    sender: str
    sender_is_phone: bool = True


class Delivery(StrEnum):
    """How far a reply of ours has come; later values never give way to earlier ones."""

    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"


class DeliveryReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """The provider tells what became of a reply we sent."""

    external_id: str  # what `Receipt.external_id` said when we sent it
    state: Delivery
    error: str | None = None  # the provider's code, never its free text


class Ignored(msgspec.Struct, frozen=True, kw_only=True):
    """A verified message that asks nothing of us; kept, counted, not delivered."""

    why: str


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """The provider tells how its device or line is; shown to the operator."""

    well: bool
    text: str  # one short line in Bahasa Indonesia; no person's data


Event = CitizenMessage | MessagePart | DeliveryReceipt | Notice | Ignored
