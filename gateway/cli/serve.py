"""The commands serve, web and work: the processes that keep running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import click
from prometheus_client import start_http_server

from gateway.bootstrap import STAGES
from gateway.cli.context import App, clear_errors, pass_app
from gateway.domain.errors import Misconfigured, Unavailable
from gateway.domain.texts import text
from gateway.i18n import Language, localize
from gateway.process import Process
from gateway.settings.files import Settings


def _stage_names(context: click.Context, _option: click.Parameter, value: str) -> list[str]:
    names = [name.strip() for name in value.split(",") if name.strip()]
    if unknown := set(names) - set(STAGES):
        problem = text(
            "unknown: {names}; there are: {listed}", names=", ".join(sorted(unknown)), listed=", ".join(STAGES)
        )
        app = context.find_object(App)
        raise click.BadParameter(localize(problem, app.language) if app else problem)
    return names


_stages_option = click.option(
    "--stages",
    default=",".join(STAGES),
    show_default=True,
    callback=_stage_names,
    help=text("The stages that this process works on, by name."),
)


@click.command(
    help=text(
        "Run everything in one process.\n\n"
        "Webhooks, work, polls, the status page. With SQLite no other process may run beside it."
    )
)
@click.option(
    "--simulate",
    "simulated",
    is_flag=True,
    help=text("Also run the simulator of providers, with invented citizens."),
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    default=0.5,
    show_default=True,
    help=text("With --simulate: messages per second."),
)
@_stages_option
@pass_app
def serve(app: App, simulated: bool, rate: float, stages: list[str]) -> None:
    """Run the whole gateway, and its simulator if asked for, until a signal ends it."""
    with clear_errors(app.language):
        gateway = app.gateway(runs=True)
        simulator = _SimulatorProcess(app, rate) if simulated else None

        def ready(port: int | None) -> None:
            _print_where(gateway.settings, port, app.language)
            if simulator:
                simulator.start()

        try:
            Process(gateway, listen=True, stages=stages, jobs=True).run(ready)
        finally:
            if simulator:
                simulator.end()
        if simulator and simulator.died:
            raise Unavailable(
                text(
                    "the simulator ended unexpectedly, so the gateway was stopped too; see the simulator's "
                    "messages above"
                )
            )


_metrics_option = click.option(
    "--metrics-port",
    type=click.IntRange(1, 65_535),
    help=text("Serve this process's /metrics also on this port of 127.0.0.1."),
)


@click.command(
    help=text(
        "Only accept webhooks and show pages.\n\n"
        "`work` does everything else. Needs PostgreSQL. Start one process per core: they share the port."
    )
)
@_metrics_option
@pass_app
def web(app: App, metrics_port: int | None) -> None:
    """Run the web server alone."""
    with clear_errors(app.language):
        _run_part(app, "web", metrics_port, listen=True, stages=(), jobs=False)


@click.command(
    help=text(
        "Only translate, deliver, answer and poll.\n\n"
        "Any number of these processes may run, on any number of machines. Needs PostgreSQL."
    )
)
@_stages_option
@click.option("--no-jobs", is_flag=True, help=text("No polls and no deletion of old messages in this process."))
@_metrics_option
@pass_app
def work(app: App, stages: list[str], no_jobs: bool, metrics_port: int | None) -> None:
    """Run the stages, and the jobs unless `--no-jobs`, without a web server."""
    with clear_errors(app.language):
        _run_part(app, "work", metrics_port, listen=False, stages=stages, jobs=not no_jobs)


def _run_part(
    app: App, name: str, metrics_port: int | None, *, listen: bool, stages: Sequence[str], jobs: bool
) -> None:
    if app.settings().database_url().startswith("sqlite"):  # refused before the file is made, migrated or locked
        raise Misconfigured(
            text("`{name}` shares a database with other processes: use PostgreSQL, or `serve` with SQLite", name=name)
        )
    gateway = app.gateway(runs=True)
    if metrics_port is not None:
        try:
            start_http_server(metrics_port, addr="127.0.0.1", registry=gateway.metrics.registry)
        except OSError as exc:
            gateway.close()
            raise Unavailable(
                text(
                    "cannot listen on 127.0.0.1:{metrics_port}: {value}; choose another --metrics-port",
                    metrics_port=metrics_port,
                    value=(exc.strerror or "").lower(),
                )
            ) from exc
    Process(gateway, listen=listen, stages=stages, jobs=jobs, share_port=True).run()


def _print_where(settings: Settings, port: int | None, language: Language) -> None:
    server = settings.gateway.server
    base = f"http://{server.host}:{port or server.port}"
    program = "python run_gateway.py" if Path("run_gateway.py").exists() else "lapor-gateway"
    if program.startswith("python") and Path(".venv/bin/python").exists():
        program = ".venv/bin/" + program
    lines = (
        text("Status    {base}/status", base=base),
        text("Health    {base}/health/ready, metrics {base}/metrics", base=base),
        text("API       {base}/api/v1/complaints (token: [api] token in gateway.toml)", base=base),
        text("Webhooks  {base}/in/<region>/<channel>", base=server.public_url.rstrip("/")),
        text(
            'Send another:  {program} simulate --text "KENDARI lampu jalan mati di Jl. Bunga"',
            program=program,
        ),
        text("Ctrl-C stops it."),
    )
    click.echo("\n" + "".join(f"  {localize(line, language)}\n" for line in lines))


class _SimulatorProcess:
    """The simulator in a process of its own, as a provider is. It gets no signal by Ctrl-C: the gateway ends it."""

    def __init__(self, app: App, rate: float) -> None:
        program = str(Path(sys.argv[0]).resolve())  # the same program, from the same place
        command = [
            sys.executable,
            program,
            "--config",
            str(app.config),
            "--lang",
            app.language.value,
            "simulate",
            "--rate",
            str(rate),
        ]
        # The simulator ends when its standard input closes. So it also ends if the gateway is killed.
        self._command = [*command, "--until-eof"]
        self._child: subprocess.Popen[bytes] | None = None
        self._ending = threading.Event()
        self.died = False

    def start(self) -> None:
        """Start the simulator. If it ends by itself, send this process a SIGTERM, so that the gateway ends too."""
        self._child = subprocess.Popen(self._command, start_new_session=True, stdin=subprocess.PIPE)  # noqa: S603
        threading.Thread(target=self._watch, args=(self._child,), daemon=True).start()

    def _watch(self, child: subprocess.Popen[bytes]) -> None:
        child.wait()
        if not self._ending.is_set():
            self.died = True
            os.kill(os.getpid(), signal.SIGTERM)

    def end(self) -> None:
        """End the simulator, if it was started; kill it after 10 seconds."""
        self._ending.set()
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
