"""The central store's tables. Only the reporter is encrypted: offices must be able to search the rest."""

from __future__ import annotations

import sqlalchemy as sa

from gateway.storage.database import Instant
from gateway.storage.encrypted import encrypted_column
from gateway.storage.tables import new_metadata

metadata = new_metadata()

complaints = sa.Table(
    "complaint",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("ticket", sa.Text, nullable=False, unique=True),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("classification", sa.Text, nullable=False),
    sa.Column("category", sa.Text),
    sa.Column("agency", sa.Text, nullable=False),
    sa.Column("reasons", sa.Text, nullable=False),  # JSON: reasons of classification, category, agency, place, apart
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("occurred_on", sa.Date),
    sa.Column("place_text", sa.Text),
    sa.Column("place_code", sa.Text),
    sa.Column("latitude", sa.Double),
    sa.Column("longitude", sa.Double),
    sa.Column("anonymous", sa.Boolean, nullable=False),
    sa.Column("confidential", sa.Boolean, nullable=False),
    encrypted_column("reporter", "reporter"),  # JSON; NULL for an anonymous complaint
    sa.Column("attachments", sa.Text, nullable=False),  # JSON list of `Attachment`
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("adapter", sa.Text, nullable=False),
    sa.Column("external_id", sa.Text, nullable=False),
    sa.Column("sent_at", Instant),
    sa.Column("received_at", Instant, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
)

history = sa.Table(  # append-only: a trigger refuses UPDATE and DELETE
    "complaint_history",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    # No foreign key: both rows are written by one transaction, and the check would cost as much as the insert.
    sa.Column("complaint_id", sa.Uuid, nullable=False, index=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("from_status", sa.Text),
    sa.Column("to_status", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
)

additions = sa.Table(
    "complaint_addition",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),  # a keyed hash of the message's id: it is added once
    sa.Column("complaint_id", sa.Uuid, nullable=False, index=True),
    sa.Column("at", Instant, nullable=False),  # when the reporter's message came
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("attachments", sa.Text, nullable=False),  # JSON list of `Attachment`
)

ticket_counter = sa.Table(
    "ticket_counter",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),  # always 1
    sa.Column("next_number", sa.BigInteger, nullable=False),
)
