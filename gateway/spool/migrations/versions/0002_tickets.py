"""Move the tickets into a table of their own, because an update of a case writes its whole wide row again."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table, and move the existing tickets."""
    op.create_table(
        "ticket",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("case_id", name="pk_ticket"),
    )
    op.create_index("ix_ticket_number", "ticket", ["number"], unique=False)
    op.execute("INSERT INTO ticket (case_id, number) SELECT id, ticket FROM cases WHERE ticket IS NOT NULL")
    op.drop_index("ix_cases_ticket", "cases")
    op.drop_column("cases", "ticket")
