"""The Canonical Data Model: what every message becomes. Frozen, no I/O.

Field names are LAPOR!'s own form in English; the enums' values are the words its users see.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

import msgspec


class Classification(StrEnum):
    """LAPOR!'s three classes, and what is true before anybody has judged."""

    COMPLAINT = "pengaduan"
    ASPIRATION = "aspirasi"
    INFORMATION = "permintaan_informasi"
    UNKNOWN = "belum_diketahui"


class Status(StrEnum):
    """Where a complaint stands; foreign systems' words are mapped onto these."""

    RECEIVED = "received"
    VERIFIED = "verified"
    FORWARDED = "forwarded"
    IN_PROGRESS = "in_progress"
    RESOLVED = "resolved"
    CLOSED = "closed"
    NEEDS_INFORMATION = "needs_information"
    REJECTED = "rejected"
    ARCHIVED = "archived"


ENDED = frozenset({Status.RESOLVED, Status.CLOSED, Status.REJECTED, Status.ARCHIVED})


class Reporter(msgspec.Struct, frozen=True, kw_only=True):
    """Who complains. Encrypted wherever it rests; absent for an anonymous complaint at the centre."""

    address: str  # on the channel: E.164 phone, short code, user id
    phone: str | None = None  # E.164
    name: str | None = None
    email: str | None = None


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A claim check: where the file can be fetched later, not the file."""

    url: str
    media_type: str | None = None
    file_name: str | None = None


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where it happened, no more precise than we are sure of."""

    text: str | None = None  # as the citizen wrote it
    code: str | None = None  # Kemendagri code of the deepest level we are sure of
    latitude: float | None = None  # degrees, WGS 84
    longitude: float | None = None
    reason: str | None = None  # which rule set the code


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where the message came in."""

    region: str  # Kemendagri code of the region whose channel it was; "00" is national
    channel: str
    adapter: str
    external_id: str  # the provider's own id of the message …
    received_at: datetime
    sent_at: datetime | None = None
    foreign_ticket: str | None = None
    made_id: bool = False  # … or one made of number and text, which leads whoever has it to the number


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """A value that a rule or a person chose, with the reason kept beside it."""

    value: str
    reason: str


class Complaint(msgspec.Struct, frozen=True, kw_only=True):
    """One canonical complaint, as delivered to the central store."""

    id: UUID  # version 7, made here; the idempotency key everywhere
    title: str
    description: str
    classification: Judgement
    category: Judgement | None
    agency: Judgement  # instansi tujuan, and the rule or person that chose it
    place: Place
    source: Source
    reporter: Reporter | None  # None: withheld because anonymous
    anonymous: bool = False  # anonim: the agency and the public never see who
    confidential: bool = False  # rahasia: the public never sees what
    occurred_on: date | None = None
    apart: str | None = None  # why it is no addition to an earlier complaint that its reporter had just made
    attachments: tuple[Attachment, ...] = ()


class Addition(msgspec.Struct, frozen=True, kw_only=True):
    """What a reporter wrote later about a complaint of theirs."""

    id: UUID  # a keyed hash of the message's id at its provider; the idempotency key
    text: str
    at: datetime  # when the message came
    reason: str  # by which rule it belongs to the complaint
    attachments: tuple[Attachment, ...] = ()


HIDDEN_ID = "-"  # stands for an id that leads to the reporter: to the number it is made of, or to the provider's record


def for_centre(complaint: Complaint) -> Complaint:
    """Return the complaint as the central store may see it. Pure.

    An anonymous complaint has no reporter and no provider's id. An id that is a hash of number and text is withheld
    too: a person who knows the text could try all numbers against it.
    """
    if not complaint.anonymous and not complaint.source.made_id:
        return complaint
    source = msgspec.structs.replace(complaint.source, external_id=HIDDEN_ID)
    reporter = None if complaint.anonymous else complaint.reporter
    return msgspec.structs.replace(complaint, source=source, reporter=reporter)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Complaint)


def dump(complaint: Complaint) -> bytes:
    """Return the complaint as JSON bytes."""
    return _encoder.encode(complaint)


def load(stored: bytes) -> Complaint:
    """Return the complaint that `dump` wrote; raises `msgspec.ValidationError` for anything else."""
    return _decoder.decode(stored)
