"""Add messages in parts (draft, part), further messages of a case (follow_up), withdrawals, and consents."""

import sqlalchemy as sa
from alembic import op

from gateway.storage.database import Instant

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the tables and columns."""
    op.create_table(
        "draft",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Uuid(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("began_at", Instant(), nullable=False),
        sa.Column("due_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_draft"),
    )
    op.create_index("ix_draft_key", "draft", ["key", "id"], unique=False)
    op.create_index(
        "ix_draft_due",
        "draft",
        ["due_at"],
        unique=False,
        postgresql_where=sa.sql.text("due_at IS NOT NULL"),
        sqlite_where=sa.sql.text("due_at IS NOT NULL"),
    )
    op.create_table(
        "part",
        sa.Column("draft_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("inbox_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("draft_id", "number", name="pk_part"),
        sa.UniqueConstraint("inbox_id", name="uq_part_inbox_id"),
    )
    op.create_table(
        "follow_up",
        sa.Column("external_key", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("added_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("external_key", name="pk_follow_up"),
    )
    op.create_table(
        "consent",
        sa.Column("sender_key", sa.Uuid(), nullable=False),
        sa.Column("given", sa.Boolean(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("sender_key", name="pk_consent"),
    )
    op.add_column("cases", sa.Column("heard_at", Instant(), nullable=True))
    op.add_column("cases", sa.Column("withdrawn_at", Instant(), nullable=True))
    op.create_index("ix_cases_sender_key", "cases", ["sender_key", "id"], unique=False)
