"""Alembic's entry point for the spool's tables."""

from gateway.spool.tables import metadata
from gateway.storage.migrate import run

run(metadata)
