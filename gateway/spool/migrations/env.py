"""Alembic's entry point for the spool's tables."""

from gateway.migrate import run
from gateway.spool.tables import metadata

run(metadata)
