"""init, migrate, keys: what an installation needs now and then."""

from __future__ import annotations

import click

from gateway.bootstrap import build
from gateway.cli.context import App, clear_errors, pass_app
from gateway.domain.texts import text
from gateway.i18n import localize
from gateway.operations.rekey import rekey
from gateway.operations.status import ALIVE_FOR
from gateway.storage.crypto import new_key


@click.group()
def keys() -> None:
    """Keys of what is stored."""


@keys.command("new")
def keys_new() -> None:
    """Print a new random key, for a key file or an environment variable."""
    click.echo(new_key())


@keys.command("rotate")
@click.option("--batch", default=500, show_default=True, help="Rows in one transaction.")
@click.option("--yes", is_flag=True, help="Do not ask whether every process was restarted.")
@pass_app
def keys_rotate(app: App, batch: int, yes: bool) -> None:
    """Encrypt everything stored with the first key of [encryption] keys.

    In this order: 1. put the new key in front of the list, 2. restart every process, 3. rotate, 4. remove the old key
    and restart every process again.

    A process that was not restarted cannot read what is encrypted anew. Where several run, add the new key as the
    second first, and restart all: see docs/production.md. May be interrupted and run again.
    """
    with clear_errors(app.language):
        gateway = build(app.settings(), app.registry)
        try:
            alive = gateway.spool.activity.alive()
            if not yes and alive is not None and gateway.spool.clock() - alive <= ALIVE_FOR:
                question = text(
                    "The gateway runs. 1. The new key is in front of [encryption] keys, and 2. every process was "
                    "restarted since?"
                )
                click.confirm(localize(question, app.language), abort=True, err=True)
            for column, total in rekey(gateway.tables, gateway.spool.keyring, batch):
                app.say(text("{column}: {total} values encrypted anew", column=column, total=total))
            app.say(text("4. now remove the old keys from [encryption] keys, and restart every process"))
        finally:
            gateway.close()
