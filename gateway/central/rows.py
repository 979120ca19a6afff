"""Make the rows of the central store's tables from complaints and additions."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from gateway.central.tables import complaints
from gateway.domain.complaint import Addition, Complaint
from gateway.domain.ids import new_id
from gateway.storage.crypto import Keyring
from gateway.storage.encrypted import purpose_of

_REPORTER = purpose_of(complaints.c.reporter)
_json = msgspec.json.Encoder()


def complaint_row(complaint: Complaint, keyring: Keyring, now: datetime) -> dict[str, object]:
    """Return the row of a complaint, without ticket, status and `created_at`."""
    place, source, reporter = complaint.place, complaint.source, complaint.reporter
    return {
        "id": complaint.id,
        "classification": complaint.classification.value,
        "category": complaint.category.value if complaint.category else None,
        "agency": complaint.agency.value,
        "reasons": _json.encode(_reasons(complaint)).decode(),
        "title": complaint.title,
        "description": complaint.description,
        "occurred_on": complaint.occurred_on,
        "place_text": place.text,
        "place_code": place.code,
        "latitude": place.latitude,
        "longitude": place.longitude,
        "anonymous": complaint.anonymous,
        "confidential": complaint.confidential,
        "reporter": keyring.encrypt(_json.encode(reporter), _REPORTER) if reporter else None,
        "attachments": _json.encode(complaint.attachments).decode(),
        "region": source.region,
        "channel": source.channel,
        "adapter": source.adapter,
        "external_id": source.external_id,
        "sent_at": source.sent_at,
        "received_at": source.received_at,
        "updated_at": now,
    }


def _reasons(complaint: Complaint) -> dict[str, str]:
    """Return the reasons of the judgements, by field."""
    reasons = {"classification": complaint.classification.reason, "agency": complaint.agency.reason}
    if complaint.category:
        reasons["category"] = complaint.category.reason
    if complaint.place.reason:
        reasons["place"] = complaint.place.reason
    if complaint.apart:
        reasons["apart"] = complaint.apart
    return reasons


def addition_row(complaint_id: UUID, addition: Addition) -> dict[str, object]:
    """Return the row of a further message of the reporter."""
    return {
        "id": addition.id,
        "complaint_id": complaint_id,
        "at": addition.at,
        "text": addition.text,
        "attachments": _json.encode(addition.attachments).decode(),
    }


def history_row(
    complaint_id: UUID, at: datetime, *, actor: str, before: str | None, after: str, why: str
) -> dict[str, object]:
    """Return a line of a complaint's history; `before` and `after` are statuses, equal if only the content changed."""
    return {
        "id": new_id(),
        "complaint_id": complaint_id,
        "at": at,
        "actor": actor,
        "from_status": before,
        "to_status": after,
        "why": why,
    }
