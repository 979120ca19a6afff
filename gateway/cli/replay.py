"""The replay command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import click

from gateway.cli.context import App, clear_errors, json_option, pass_app, print_json
from gateway.domain.texts import Text, text
from gateway.i18n import Language, localize
from gateway.i18n.moments import format_number
from gateway.pipeline.replay import Change, Replay

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
    with clear_errors(app.language):
        gateway = app.gateway()
        try:
            again = Replay(gateway.spool, gateway.channels, gateway.composer, gateway.joining, gateway.casework)
            since = start.replace(tzinfo=UTC) if start else None
            until = end.replace(tzinfo=UTC) if end else datetime.now(UTC)
            if not yes:
                _show(app, again.dead(limit) if since is None else again.between(since, until), as_json)
                return
            done = {"reopened": again.apply_dead(limit)} if since is None else again.apply_between(since, until)
        finally:
            gateway.close()
    if as_json:
        print_json(done)
    else:
        app.say(_counted(done, app.language) if done else text("nothing to replay"))


def _show(app: App, changes: Iterable[Change], as_json: bool) -> None:
    counts: dict[str, int] = {}
    failures: dict[str, list[Change]] = {}
    for change in changes:
        counts[change.action] = counts.get(change.action, 0) + 1
        if as_json:
            print_json(_as_json(change))
        elif change.action == "fail":
            failures.setdefault(change.detail, []).append(change)
        elif change.action != "none":
            moment = f"{change.received_at:%Y-%m-%d %H:%M}"
            click.echo(f"{change.message}  {moment}  {change.channel}  {change.action}: {change.detail}")
    if as_json:
        return
    for reason, failed in failures.items():
        first = failed[0]
        more = text(" and {count} more", count=len(failed) - 1) if len(failed) > 1 else ""
        click.echo(
            f"{first.message}  {first.received_at:%Y-%m-%d %H:%M}  {first.channel}{localize(more, app.language)}  "
            f"fail: {localize(reason, app.language)}"
        )
    read = sum(counts.values())
    messages = text("1 message") if read == 1 else text("{count} messages", count=read)
    if counts.keys() <= {"none"}:
        app.say(text("{messages} read, none would change", messages=messages) if read else text("nothing to replay"))
        return
    total = _counted(counts, app.language)
    if counts.keys() - {"none", "fail"}:
        app.say(text("{messages} read; would be: {total}.  To do it: --yes", messages=messages, total=total))
    else:
        app.say(text("{messages} read; would be: {total}.", messages=messages, total=total))


def _as_json(change: Change) -> dict[str, object]:
    return {
        "message": change.message,
        "received_at": change.received_at,
        "address": str(change.channel),
        "action": change.action,
        "detail": change.detail,
    }


def _counted(counts: Mapping[str, int], language: Language) -> Text:
    """Return how many messages each action touches: "3 open, 1 amend"; the actions' names are those of `--json`."""
    return Text(", ".join(f"{format_number(count, language)} {action}" for action, count in counts.items()))
