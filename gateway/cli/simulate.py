"""The simulate command."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.context import App, clear_errors, pass_app
from gateway.pipeline.interpret.enrich import phone


@click.command()
@click.option("--rate", default=1.0, show_default=True, help="Messages per second.")
@click.option("--count", type=int, help="Stop after so many messages; else play until Ctrl-C.")
@click.option("--samples", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Another samples file.")
@click.option("--text", help="Send this one message and wait for the answer.")
@click.option(
    "--from", "sender", default="+6281200000999", show_default=True, help="With --text: the citizen's number."
)
@click.option("--channel", "address", metavar="REGION/NAME", help="One channel; else every one that has a simulator.")
@click.option("--until-eof", is_flag=True, hidden=True, help="End when standard input closes.")
@pass_app
def simulate(
    app: App,
    rate: float,
    count: int | None,
    samples: Path | None,
    text: str | None,
    sender: str,
    address: str | None,
    until_eof: bool,
) -> None:
    """Play a provider and invented citizens.

    Against a running gateway; nothing leaves this machine.
    """
    from gateway.simulation.play import play, send_one  # noqa: PLC0415  only this command needs it

    with clear_errors(app.language):
        settings = app.settings()
        if text is not None:
            if phone(sender) is None:
                raise click.BadParameter("write a phone number, as +6281200000999", param_hint="--from")
            raise SystemExit(send_one(settings, app.registry, address, sender, text))
        play(settings, app.registry, address, rate=rate, count=count, samples=samples, until_eof=until_eof)
