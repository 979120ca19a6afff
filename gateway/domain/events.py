"""The events into which adapters translate raw messages: a closed list."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from gateway.domain.complaint import Attachment


class CitizenMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a citizen on a channel."""

    external_id: str  # unique in the channel for ever; the same message has the same id by webhook and by poll
    # True if the id is a hash of number and text, not the provider's own. The centre never gets such an id: a person
    # who knows the text could try all numbers against it.
    made_id: bool = False
    sender: str  # the address as the provider gives it; enrich makes a phone E.164
    recipient: str  # our own address, to which the citizen wrote
    text: str
    sent_at: datetime | None = None
    sender_name: str | None = None
    sender_is_phone: bool = True  # a phone that is no ordinary number (1708, "TELKOMSEL") is never answered
    attachments: tuple[Attachment, ...] = ()


class MessagePart(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a long message. The core waits for the others, then the adapter joins them (`ports.Joiner`)."""

    group: str  # the same for all parts of the message; the sender's other messages of that time have other groups
    number: int  # from 1
    total: int
    sender: str
    sender_is_phone: bool = True


class Delivery(StrEnum):
    """Delivery state of a reply; an earlier state never replaces a later one."""

    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"


class DeliveryReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """The provider's report about a reply that we sent."""

    external_id: str  # the provider's id of the reply: `Receipt.external_id` or one of `Receipt.others`
    state: Delivery
    error: str | None = None  # the provider's code, never its free text


class Ignored(msgspec.Struct, frozen=True, kw_only=True):
    """A verified message that needs no action; stored and counted, not delivered."""

    why: str  # shown by `try`


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """The report of a provider's device about itself, such as a phone's battery; the status page shows it."""

    well: bool  # False if the device has a trouble
    text: str  # one short line in English, translated by the catalogue when it is shown; no person's data


Event = CitizenMessage | MessagePart | DeliveryReceipt | Notice | Ignored
