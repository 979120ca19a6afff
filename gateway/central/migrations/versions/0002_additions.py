"""Add the table of further messages of reporters."""

import sqlalchemy as sa
from alembic import op

from gateway.storage.database import Instant

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "complaint_addition",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("complaint_id", sa.Uuid(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("attachments", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_complaint_addition"),
    )
    op.create_index("ix_complaint_addition_complaint_id", "complaint_addition", ["complaint_id"], unique=False)
