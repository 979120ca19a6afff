"""The status command: print the state of every channel."""

from __future__ import annotations

import click

from gateway.bootstrap import build
from gateway.cli.context import EXIT_FOUND, App, clear_errors, json_option, pass_app, print_json
from gateway.domain.texts import text
from gateway.i18n import localize
from gateway.operations.status import STATE_NAMES, ChannelReport, StatusReport, report
from gateway.operations.status_json import as_json as report_as_json

_NEEDS_ACTION = text("NEEDS ACTION")


@click.command(
    help=text(
        "Show the state of every channel.\n\n"
        "Each trouble is shown with its time and cause. Ends with 1 if there is a trouble."
    )
)
@json_option
@pass_app
def status(app: App, as_json: bool) -> None:
    """Print the state of every channel; exit 1 if there is a trouble."""
    with clear_errors(app.language):
        gateway = build(app.settings(), app.registry)
        try:
            state = report(gateway)
            if state.problem is None:
                gateway.require_keys()
        finally:
            gateway.close()
    if as_json:
        print_json(report_as_json(state, app.language))
    else:
        _print(app, state)
    raise SystemExit(0 if state.healthy else EXIT_FOUND)


def _print(app: App, state: StatusReport) -> None:
    if state.problem:
        app.say(text("database: {reason}", reason=state.problem))
        return
    if state.stopped:
        app.say(state.stopped)
    app.say(text("{waiting} waiting, {dead} dead letters", waiting=state.waiting, dead=state.dead))
    for channel in state.channels:
        _print_channel(app, channel)


def _print_channel(app: App, channel: ChannelReport) -> None:
    state = localize(STATE_NAMES[channel.state], app.language)
    if not channel.healthy:
        state = f"{state} · {localize(_NEEDS_ACTION, app.language)}"
    click.echo(f"{channel.region}/{channel.name} · {channel.region_name} ({channel.adapter}): {state}")
    for sentence in channel.sentences:
        click.echo(f"  - {localize(sentence.text, app.language)}")
