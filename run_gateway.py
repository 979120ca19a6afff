#!/usr/bin/env python3
"""Run the LAPOR gateway: the command line, and the only module through which the core gets its adapters."""

from __future__ import annotations

import os
import sys
from pathlib import Path

try:
    import click

    from adapters import BUILTIN
    from gateway import __version__
    from gateway.cli.check import check
    from gateway.cli.context import App
    from gateway.cli.dead import dead
    from gateway.cli.init import init
    from gateway.cli.keys import keys
    from gateway.cli.language import Program
    from gateway.cli.migrate import migrate
    from gateway.cli.replay import replay
    from gateway.cli.serve import serve, web, work
    from gateway.cli.simulate import simulate
    from gateway.cli.status import status
    from gateway.cli.try_message import try_message
    from gateway.domain.texts import text
    from gateway.i18n import Language, preferred
    from gateway.ports.registry import Registry
except ModuleNotFoundError as missing:
    sys.stderr.write(
        f"The Python package {missing.name!r} is not installed for {sys.executable}: run `make run` first, "
        "or use .venv/bin/python run_gateway.py\n"
    )
    sys.exit(4)


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help=text("Take complaints from every channel to the central LAPOR store, and answer the citizens."),
    epilog=text(
        "Exit codes: 0 all well, 1 something needs action, 2 wrong usage, 3 faulty configuration, 4 unavailable."
    ),
)
@click.option(
    "--config",
    type=click.Path(file_okay=False, path_type=Path),
    default="config",
    show_default=True,
    envvar="LAPOR_CONFIG",
    help=text("Directory with gateway.toml and regions/; also $LAPOR_CONFIG."),
)
@click.option(
    "--lang",
    type=click.Choice([language.value for language in Language]),
    envvar="LAPOR_LANG",
    help=text(
        "Language of help and messages, anywhere on the line; also $LAPOR_LANG. By default English if the locale is "
        "English, else Bahasa Indonesia."
    ),
)
@click.version_option(__version__, prog_name="lapor-gateway")
@click.pass_context
def main(context: click.Context, config: Path, lang: str | None) -> None:
    """Pass the registry, the configuration directory and the language to the command."""
    context.obj = App(Registry(BUILTIN), config, preferred(lang, os.environ))


for command in (serve, web, work, check, migrate, try_message, dead, replay, simulate, status, init, keys):
    main.add_command(command)


if __name__ == "__main__":
    main()
