"""dead, replay: finding out what failed, and trying it again."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import click

from gateway.bootstrap import Gateway
from gateway.cli.context import EXIT_FOUND, App, clear_errors, json_option, pass_app, print_json
from gateway.domain.ids import time_of
from gateway.pipeline.replay import Change, Replay


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
    with clear_errors():
        gateway = app.gateway()
        try:
            letters = [_letter("inbox", row) for row in gateway.spool.inbox.dead(limit)]
            letters += [_letter("outbox", row) for row in gateway.spool.outbox.dead(limit)]
        finally:
            gateway.close()
    if as_json:
        print_json(letters)
    elif not letters:
        click.echo("tidak ada surat mati / no dead letters")
    else:
        for letter in letters:
            click.echo(
                f"{letter['id']}  {letter['at']:%Y-%m-%d %H:%M}  {letter['queue']}/{letter['kind']}  "
                f"{letter['address']}  {letter['reason']}"
            )
        click.echo("show one: dead show ID.  After a fix: replay --dead")
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
    with clear_errors():
        gateway = app.gateway()
        try:
            letter, payload = _find(gateway, identifier, content)
        finally:
            gateway.close()
    if letter is None:
        click.echo(f"there is no row {identifier}")
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
    row = spool.inbox.get(identifier)
    if row is not None:
        return _letter("inbox", row), spool.inbox.open(row).payload if content else b""
    row = spool.outbox.get(identifier)
    if row is None:
        return None, b""
    text = spool.outbox.open(row).text.encode() if content and row.payload else b""
    return _letter("outbox", row), text


_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


@click.command()
@click.option("--dead", "dead_letters", is_flag=True, help="The dead letters.")
@click.option("--from", "start", type=_MOMENT, metavar="MOMENT", help="Messages received since then (UTC).")
@click.option("--to", "end", type=_MOMENT, metavar="MOMENT", help="… and before then (UTC); else until now.")
@click.option("--limit", default=1000, show_default=True, help="With --dead: at most so many of each queue.")
@click.option("--yes", is_flag=True, help="Do it; without this, only tell what would change.")
@json_option
@pass_app
def replay(
    app: App,
    dead_letters: bool,
    start: datetime | None,
    end: datetime | None,
    limit: int,
    yes: bool,
    as_json: bool,
) -> None:
    """Read stored messages again.

    With today's code and configuration. Tells first what would change; with --yes it is done. Nothing becomes a
    second complaint: a message that has one amends it, and its ticket stays.
    """
    if dead_letters == (start is not None):
        raise click.UsageError("say either --dead or --from MOMENT")
    with clear_errors():
        gateway = app.gateway()
        try:
            again = Replay(gateway.spool, gateway.channels, gateway.composer, gateway.joining, gateway.casework)
            since = start.replace(tzinfo=UTC) if start else None
            until = end.replace(tzinfo=UTC) if end else datetime.now(UTC)
            if not yes:
                _show(again.dead(limit) if since is None else again.between(since, until), as_json)
                return
            done = {"reopened": again.apply_dead(limit)} if since is None else again.apply_between(since, until)
        finally:
            gateway.close()
    if as_json:
        print_json(done)
    else:
        click.echo(", ".join(f"{count} {action}" for action, count in done.items()) or "nothing to replay")


def _show(changes: Iterable[Change], as_json: bool) -> None:
    counts: dict[str, int] = {}
    failures: dict[str, list[Change]] = {}
    for change in changes:
        counts[change.action] = counts.get(change.action, 0) + 1
        if as_json:
            print_json(asdict(change))
        elif change.action == "fail":
            failures.setdefault(change.detail, []).append(change)
        elif change.action != "none":
            moment = f"{change.received_at:%Y-%m-%d %H:%M}"
            click.echo(f"{change.message}  {moment}  {change.address}  {change.action}: {change.detail}")
    if as_json:
        return
    for reason, failed in failures.items():
        first = failed[0]
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        click.echo(f"{first.message}  {first.received_at:%Y-%m-%d %H:%M}  {first.address}{more}  fail: {reason}")
    read = sum(counts.values())
    messages = "1 message" if read == 1 else f"{read} messages"
    if counts.keys() <= {"none"}:
        click.echo(f"{messages} read, none would change" if read else "nothing to replay")
        return
    total = ", ".join(f"{count} {action}" for action, count in counts.items())
    hint = "  To do it: --yes" if counts.keys() - {"none", "fail"} else ""
    click.echo(f"{messages} read; would be: {total}.{hint}")
