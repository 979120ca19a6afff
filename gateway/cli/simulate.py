"""The simulate command: simulate providers and citizens."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.context import App, clear_errors, pass_app
from gateway.domain.texts import text
from gateway.i18n import localize
from gateway.pipeline.interpret.enrich import phone


@click.command(
    help=text(
        "Simulate the providers and invented citizens.\n\nNeeds a running gateway; no message leaves this machine."
    )
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help=text("Messages per second."),
)
@click.option("--count", type=int, help=text("Stop after so many messages; without it, play until Ctrl-C."))
@click.option(
    "--samples", type=click.Path(exists=True, dir_okay=False, path_type=Path), help=text("Another file of samples.")
)
@click.option("--text", "message", help=text("Send this one message and wait for the answer."))
@click.option(
    "--from",
    "sender",
    default="+6281200000999",
    show_default=True,
    help=text("With --text: the citizen's phone number."),
)
@click.option(
    "--channel",
    "address",
    metavar="REGION/NAME",
    help=text("Only this channel; without it, all channels that have a simulator."),
)
@click.option("--until-eof", is_flag=True, hidden=True, help="End when standard input closes.")
@pass_app
def simulate(
    app: App,
    rate: float,
    count: int | None,
    samples: Path | None,
    message: str | None,
    sender: str,
    address: str | None,
    until_eof: bool,
) -> None:
    """Send one message and wait for its answer, or send many until the count, Ctrl-C or the end of input."""
    from gateway.simulation.play import play, send_one  # noqa: PLC0415  only this command needs it

    with clear_errors(app.language):
        settings = app.settings()
        if message is not None:
            if phone(sender) is None:
                problem = localize(text("write a phone number, as +6281200000999"), app.language)
                raise click.BadParameter(problem, param_hint="--from")
            raise SystemExit(send_one(settings, app.registry, address, sender, message, app.language))
        play(
            settings,
            app.registry,
            address,
            rate=rate,
            count=count,
            samples=samples,
            language=app.language,
            until_eof=until_eof,
        )
