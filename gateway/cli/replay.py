"""The replay command: interpret stored messages again."""

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


@click.command(
    help=text(
        "Read stored messages again, with today's code and configuration.\n\n"
        "Without --yes it only shows what would change. No message becomes a second complaint: if it has one, the "
        "complaint is amended and keeps its ticket."
    )
)
@click.option("--dead", "dead_letters", is_flag=True, help=text("The dead letters."))
@click.option("--from", "start", type=_MOMENT, metavar="MOMENT", help=text("Messages received since then (UTC)."))
@click.option(
    "--to",
    "end",
    type=_MOMENT,
    metavar="MOMENT",
    help=text("With --from: and before then (UTC); without it, until now."),
)
@click.option("--limit", default=1000, show_default=True, help=text("With --dead: at most so many of each queue."))
@click.option("--yes", is_flag=True, help=text("Make the changes; without it, only show them."))
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
    """Show the changes of a replay, or make them with `--yes`. Raises `UsageError` without `--dead` or `--from`."""
    if dead_letters == (start is not None):
        raise click.UsageError(localize(text("write either --dead or --from MOMENT"), app.language))
    with clear_errors(app.language):
        gateway = app.gateway()
        try:
            replayer = Replay(gateway.spool, gateway.channels, gateway.composer, gateway.joining, gateway.casework)
            since = start.replace(tzinfo=UTC) if start else None
            until = end.replace(tzinfo=UTC) if end else datetime.now(UTC)
            if not yes:
                _show(app, replayer.dead(limit) if since is None else replayer.between(since, until), as_json)
                return
            done = {"reopened": replayer.apply_dead(limit)} if since is None else replayer.apply_between(since, until)
        finally:
            gateway.close()
    if as_json:
        print_json(done)
    else:
        app.say(_counted(done, app.language) if done else text("nothing to replay"))


def _show(app: App, changes: Iterable[Change], as_json: bool) -> None:
    """Print each change; failures are printed last, one line per reason."""
    counts: dict[str, int] = {}
    failures: dict[str, list[Change]] = {}
    for change in changes:
        counts[change.action] = counts.get(change.action, 0) + 1
        if as_json:
            print_json(_as_json(change))
        elif change.action == "fail":
            failures.setdefault(change.detail, []).append(change)
        elif change.action != "none":
            click.echo(f"{_place(change)}  {change.action}: {change.detail}")
    if as_json:
        return
    for reason, failed in failures.items():
        more = text(" and {count} more", count=len(failed) - 1) if len(failed) > 1 else ""
        click.echo(
            f"{_place(failed[0])}{localize(more, app.language)}  fail: {localize(reason, app.language)}",
        )
    _show_total(app, counts)


def _place(change: Change) -> str:
    return f"{change.message}  {change.received_at:%Y-%m-%d %H:%M}  {change.channel}"


def _show_total(app: App, counts: Mapping[str, int]) -> None:
    """Print the number of messages, and the number per action."""
    read = sum(counts.values())
    messages = text("1 message") if read == 1 else text("{count} messages", count=read)
    if read == 0:
        app.say(text("nothing to replay"))
        return
    if counts.keys() <= {"none"}:
        app.say(text("{messages} read, none would change", messages=messages))
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
    """Return the number of messages per action, such as "3 open, 1 amend"; the names are those of `--json`."""
    return Text(", ".join(f"{format_number(count, language)} {action}" for action, count in counts.items()))
