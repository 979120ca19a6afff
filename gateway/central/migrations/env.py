"""Alembic's entry point for the central store's tables."""

from gateway.central.tables import metadata
from gateway.storage.migrate import run

run(metadata)
