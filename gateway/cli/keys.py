"""The keys command: make a storage key, and encrypt stored values with a new one."""

from __future__ import annotations

import click

from gateway.bootstrap import build
from gateway.cli.context import App, clear_errors, pass_app
from gateway.domain.texts import text
from gateway.i18n import localize
from gateway.operations.rekey import rekey
from gateway.operations.status import ALIVE_FOR
from gateway.storage.crypto import new_key


@click.group(help=text("Make and rotate the keys of stored values."))
def keys() -> None:
    """Group `keys new` and `keys rotate`."""


@keys.command("new", help=text("Print a new random key, for a key file or an environment variable."))
def keys_new() -> None:
    """Print a new random key."""
    click.echo(new_key())


@keys.command(
    "rotate",
    help=text(
        "Encrypt everything stored with the first key of [encryption] keys.\n\n"
        "In this order: 1. put the new key in front of the list, 2. restart every process, 3. rotate, 4. remove the "
        "old key and restart every process again.\n\n"
        "A process that was not restarted cannot read the newly encrypted values. If several processes run, first add "
        "the new key as the second of the list and restart all of them: see docs/production.md. Rotating may be "
        "interrupted and run again."
    ),
)
@click.option("--batch", default=500, show_default=True, help=text("Rows in one transaction."))
@click.option("--yes", is_flag=True, help=text("Do not ask whether every process was restarted."))
@pass_app
def keys_rotate(app: App, batch: int, yes: bool) -> None:
    """Encrypt all stored values with the first key, after a question if a gateway runs."""
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
