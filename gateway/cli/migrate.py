"""The migrate command."""

from __future__ import annotations

import click

from gateway.bootstrap import build
from gateway.cli.context import App, clear_errors, pass_app
from gateway.domain.texts import text
from gateway.storage.migrate import migrate as run_migrations


@click.command()
@pass_app
def migrate(app: App) -> None:
    """Bring the tables to the newest version.

    Those of the gateway and of the central store. Safe to run again.
    """
    with clear_errors(app.language):
        gateway = build(app.settings(), app.registry)
        try:
            for tables in gateway.tables:
                version = run_migrations(tables.database, [tables.part])[tables.part]
                app.say(text("{part}: version {version}", part=tables.part, version=version))
        finally:
            gateway.close()
