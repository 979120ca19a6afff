"""The canonical data model: every report becomes a `Complaint`. Immutable values, no I/O.

Field names are those of LAPOR!'s own form, in English. The values of `Classification` are LAPOR!'s own words; those of
`Status` are English, and `settings.templates` has the words that citizens read.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

import msgspec


class Classification(StrEnum):
    """LAPOR!'s three classes, and "belum diketahui" (unknown), which only a configured rule gives."""

    COMPLAINT = "pengaduan"
    ASPIRATION = "aspirasi"
    INFORMATION = "permintaan_informasi"
    UNKNOWN = "belum_diketahui"


class Status(StrEnum):
    """The status of a complaint at the centre."""

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
    """The reporter. Stored encrypted only; an anonymous complaint has none at the centre."""

    address: str  # on the channel: E.164 phone, short code, user id
    phone: str | None = None  # E.164
    name: str | None = None
    email: str | None = None


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A reference to an attached file: the URL from which it can be fetched later (claim check), not the file."""

    url: str
    media_type: str | None = None
    file_name: str | None = None


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The place of the event, only as precise as it is certain."""

    text: str | None = None  # as the citizen wrote it
    code: str | None = None  # Kemendagri code of the lowest certain level
    latitude: float | None = None  # degrees, WGS 84
    longitude: float | None = None
    reason: str | None = None  # the rule that set the code


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The channel and the message of which the complaint was made."""

    region: str  # Kemendagri code of the channel's region; "00" is national
    channel: str
    adapter: str
    external_id: str  # the provider's own id of the message, or our own hash if `made_id`
    received_at: datetime
    sent_at: datetime | None = None
    foreign_ticket: str | None = None
    made_id: bool = False  # True if the provider has no ids: a hash of number and text, which can reveal the number


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """A value that was chosen for a complaint, with the reason."""

    value: str
    reason: str


class Complaint(msgspec.Struct, frozen=True, kw_only=True):
    """One canonical complaint, as delivered to the central store."""

    id: UUID  # version 7, made here; the idempotency key everywhere
    title: str
    description: str
    classification: Judgement
    category: Judgement | None
    agency: Judgement  # instansi tujuan
    place: Place
    source: Source
    reporter: Reporter | None  # `None` if the complaint is anonymous
    anonymous: bool = False  # anonim: agency and public never see the reporter
    confidential: bool = False  # rahasia: the public never sees the content
    occurred_on: date | None = None
    apart: str | None = None  # the reason why it was not added to an earlier complaint of its reporter
    attachments: tuple[Attachment, ...] = ()


class Addition(msgspec.Struct, frozen=True, kw_only=True):
    """A further message of the reporter about a complaint."""

    id: UUID  # a keyed hash of the message's id at its provider; the idempotency key
    text: str
    at: datetime  # when the message came
    reason: str  # the reason why it was added to this complaint
    attachments: tuple[Attachment, ...] = ()


# In place of an id that could reveal the reporter: a hash can be compared with the hashes of all numbers, and a
# provider's id can be looked up in the provider's records.
HIDDEN_ID = "-"


def for_centre(complaint: Complaint) -> Complaint:
    """Return the complaint in the form that the central store may get. Pure.

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
    """Return the complaint from the JSON bytes of `dump`; raises `msgspec.DecodeError` for any other bytes."""
    return _decoder.decode(stored)
