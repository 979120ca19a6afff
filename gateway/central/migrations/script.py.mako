"""${message}"""

import sqlalchemy as sa
from alembic import op

from gateway.storage.database import Instant

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Apply the change."""
    ${upgrades if upgrades else "raise NotImplementedError"}


def downgrade() -> None:
    """Undo the change."""
    ${downgrades if downgrades else "raise NotImplementedError"}
