"""The migrate command: bring the tables to the newest version."""

from __future__ import annotations

import click

from gateway.bootstrap import build
from gateway.cli.context import App, clear_errors, pass_app
from gateway.domain.texts import text
from gateway.storage.migrate import migrate as run_migrations


@click.command(
    help=text(
        "Bring the tables to the newest version.\n\n"
        "The tables of the gateway and of the central store. Safe to run again."
    )
)
@pass_app
def migrate(app: App) -> None:
    """Run the migrations of the gateway's and the central store's tables, and print the versions."""
    with clear_errors(app.language):
        gateway = build(app.settings(), app.registry)
        try:
            for tables in gateway.tables:
                version = run_migrations(tables.database, [tables.part])[tables.part]
                app.say(text("{part}: version {version}", part=tables.part, version=version))
        finally:
            gateway.close()
