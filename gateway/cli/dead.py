"""dead, replay: finding out what failed, and trying it again."""

from __future__ import annotations

import sys
from typing import Any
from uuid import UUID

import click

from gateway.bootstrap import Gateway
from gateway.cli.context import EXIT_FOUND, App, clear_errors, json_option, pass_app, print_json
from gateway.domain.ids import time_of
from gateway.domain.texts import text
from gateway.i18n import localize


@click.group()
def dead() -> None:
    """List and show dead letters.

    Messages and replies that no retry can mend. None is ever thrown away.
    """


@dead.command("list")
@click.option("--limit", default=50, show_default=True, help="The newest so many of each queue.")
@json_option
@pass_app
def dead_list(app: App, limit: int, as_json: bool) -> None:
    """List dead letters with their reasons. Ends with 1 where there are any."""
    with clear_errors(app.language):
        gateway = app.gateway()
        try:
            letters = [_letter("inbox", row) for row in gateway.spool.inbox.dead(limit)]
            letters += [_letter("outbox", row) for row in gateway.spool.outbox.dead(limit)]
        finally:
            gateway.close()
    if as_json:
        print_json(letters)
    elif not letters:
        app.say(text("no dead letters"))
    else:
        for letter in letters:
            click.echo(
                f"{letter['id']}  {letter['at']:%Y-%m-%d %H:%M}  {letter['queue']}/{letter['kind']}  "
                f"{letter['address']}  {localize(str(letter['reason']), app.language)}"
            )
        app.say(text("show one: dead show ID. After a fix: replay --dead"))
    raise SystemExit(EXIT_FOUND if letters else 0)


def _letter(queue: str, row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "queue": queue,
        "kind": getattr(row, "kind", "message"),
        "address": f"{row.region}/{row.channel}",
        "at": time_of(row.id),
        "attempts": row.attempts,
        "reason": row.reason,
    }


@dead.command("show")
@click.argument("identifier", type=click.UUID)
@click.option("--content", is_flag=True, help="Also print the message itself. It is a citizen's: mind who can see it.")
@json_option
@pass_app
def dead_show(app: App, identifier: UUID, content: bool, as_json: bool) -> None:
    """Show one dead letter; with --content what was received, in the form that `try` reads."""
    with clear_errors(app.language):
        gateway = app.gateway()
        try:
            letter, payload = _find(gateway, identifier, content)
        finally:
            gateway.close()
    if letter is None:
        app.say(text("there is no row {identifier}", identifier=identifier))
        raise SystemExit(EXIT_FOUND)
    if as_json:
        print_json(letter | ({"content": payload.decode("utf-8", "replace")} if content else {}))
        return
    for name, value in letter.items():
        click.echo(f"{name:<10} {value}")
    if content:
        sys.stdout.buffer.write(payload)


def _find(gateway: Gateway, identifier: UUID, content: bool) -> tuple[dict[str, Any] | None, bytes]:
    spool = gateway.spool
    message = spool.inbox.get(identifier)
    if message is not None:
        return _letter("inbox", message), spool.inbox.unseal(message).payload if content else b""
    sending = spool.outbox.get(identifier)
    if sending is None:
        return None, b""
    text = spool.outbox.unseal(sending).text.encode() if content and sending.payload else b""
    return _letter("outbox", sending), text
