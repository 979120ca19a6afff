"""The status command."""

from __future__ import annotations

from dataclasses import asdict

import click

from gateway.bootstrap import build
from gateway.cli.context import EXIT_FOUND, App, clear_errors, json_option, pass_app, print_json
from gateway.operations.status import report


@click.command()
@json_option
@pass_app
def status(app: App, as_json: bool) -> None:
    """Say what flows, and what is stuck.

    For every channel in words: since when, and why. Ends with 1 where something is stuck.
    """
    with clear_errors():
        gateway = build(app.settings(), app.registry)
        try:
            found = report(gateway)
            if found.problem is None:
                gateway.require_keys()
        finally:
            gateway.close()
    if as_json:
        print_json(asdict(found))
    elif found.problem:
        click.echo(f"basis data / database: {found.problem}")
    else:
        if found.stopped:
            click.echo(" / ".join(found.stopped))
        click.echo(f"{found.waiting} menunggu / waiting, {found.dead} surat mati / dead letters")
        for channel in found.channels:
            word = "lancar / flowing" if channel.healthy else "PERLU TINDAKAN / NEEDS ACTION"
            click.echo(f"{channel.region}/{channel.name} ({channel.adapter}): {word}")
            for indonesian, english in zip(channel.indonesian, channel.english, strict=True):
                click.echo(f"  - {indonesian} / {english}")
    raise SystemExit(0 if found.healthy else EXIT_FOUND)
