"""The dead command: list and show dead letters (messages, jobs and replies that failed for good)."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TypedDict
from uuid import UUID

import click

from gateway.bootstrap import Gateway
from gateway.cli.context import EXIT_FOUND, App, clear_errors, json_option, pass_app, print_json
from gateway.domain.ids import time_of
from gateway.domain.texts import text
from gateway.i18n import localize
from gateway.spool.outbox import Job
from gateway.spool.rows import InboxRow, OutboxRow
from gateway.spool.tables import Kind


class DeadLetter(TypedDict):
    """A row that failed for good, as it is printed."""

    id: UUID
    queue: str
    kind: str
    address: str
    at: datetime
    attempts: int
    reason: str | None


@click.group(
    help=text(
        "List and show dead letters.\n\n"
        "These are the messages, deliveries and replies that no retry can help. They are never deleted automatically."
    )
)
def dead() -> None:
    """Group `dead list` and `dead show`."""


@dead.command("list", help=text("List dead letters with their reasons. Ends with 1 if there are any."))
@click.option("--limit", default=50, show_default=True, help=text("At most so many of each queue, the newest first."))
@json_option
@pass_app
def dead_list(app: App, limit: int, as_json: bool) -> None:
    """Print the newest dead letters of both queues; exit 1 if there are any."""
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


def _letter(queue: str, row: InboxRow | OutboxRow) -> DeadLetter:
    return {
        "id": row.id,
        "queue": queue,
        "kind": getattr(row, "kind", "message"),
        "address": f"{row.region}/{row.channel}",
        "at": time_of(row.id),
        "attempts": row.attempts,
        "reason": row.reason,
    }


@dead.command(
    "show", help=text("Show one dead letter. With --content also the message itself, in the form that `try` reads.")
)
@click.argument("identifier", type=click.UUID)
@click.option(
    "--content",
    is_flag=True,
    help=text("Also print the message itself. A citizen wrote it: make sure that nobody else sees it."),
)
@json_option
@pass_app
def dead_show(app: App, identifier: UUID, content: bool, as_json: bool) -> None:
    """Print one dead letter; exit 1 if no row has the identifier."""
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
        print_json({**letter, **({"content": payload.decode("utf-8", "replace")} if content else {})})
        return
    for name, value in letter.items():
        click.echo(f"{name:<10} {value}", err=content)  # standard output is for the message alone: `try` reads it
    if content:
        sys.stdout.buffer.write(payload)


def _find(gateway: Gateway, identifier: UUID, content: bool) -> tuple[DeadLetter | None, bytes]:
    """Return a row of the inbox or the outbox, and its decrypted payload if `content` (else no bytes)."""
    spool = gateway.spool
    message = spool.inbox.get(identifier)
    if message is not None:
        return _letter("inbox", message), spool.inbox.unseal(message).payload if content else b""
    row = spool.outbox.get(identifier)
    if row is None:
        return None, b""
    return _letter("outbox", row), _content(gateway, row) if content and row.payload else b""


def _content(gateway: Gateway, row: OutboxRow) -> bytes:
    """Return the text of a reply, or the content of a job for the centre; raises `Undecryptable`."""
    if row.kind == Kind.REPLY:
        return gateway.spool.outbox.unseal(row).text.encode()
    job = Job.of(row)
    return gateway.spool.outbox.content(job) if job else b""
