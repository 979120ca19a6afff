"""The `simulate` command: the simulators of the configured channels, and a citizen for each."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import click

from gateway.errors import Misconfigured
from gateway.registry import Registry
from gateway.settings import ChannelConfig, Settings
from gateway.testing.simulator import Simulator


def play(
    settings: Settings,
    registry: Registry,
    address: str | None,
    *,
    rate: float,
    count: int | None,
    samples: Path | None,
    until_eof: bool = False,
) -> None:
    """Play samples until `count` were sent or the process is asked to end; the replies are printed as they come."""
    providers = [_provider(settings, registry, channel) for channel in _simulated(settings, registry, address)]
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if until_eof:
        threading.Thread(target=_stop_at_eof, args=(stop,), daemon=True).start()
    with Simulator(providers, samples, rate=rate) as simulator:
        if count is not None:
            simulator.play(count)
            stop.wait(2)  # the last replies are on their way
            return
        player = threading.Thread(target=lambda: simulator.play(2**31), daemon=True)
        player.start()
        stop.wait()


def _stop_at_eof(stop: threading.Event) -> None:
    """Wait for the program that started us to end: the pipe it holds closes with it, however it dies."""
    while os.read(0, 1024):  # not sys.stdin: its lock would still be held when the interpreter ends
        pass
    stop.set()


def send_one(settings: Settings, registry: Registry, address: str | None, sender: str, text: str) -> int:
    """Send one message and return the exit code.

    The answer is shown by the simulator that runs with the gateway, or here where none runs yet.
    """
    channel = _simulated(settings, registry, address)[0]
    provider = _provider(settings, registry, channel)
    try:
        with Simulator([provider], rate=1) as simulator:
            status = simulator.send_one(sender, text)
            if status == 200 and simulator.wait_for_reply(sender, 15) is None:
                click.echo("no answer within 15 seconds; see the status page")
                return 1
    except OSError:
        # The port belongs to the simulator that plays beside the gateway: it takes the answer, we only send.
        status = provider.send(sender, text).status
        click.echo(f"{sender} -> {provider.sender}: {text}")
        click.echo("accepted; the answer is shown where the simulator runs" if status == 200 else f"answered {status}")
    return 0 if status == 200 else 1


def _simulated(settings: Settings, registry: Registry, address: str | None) -> list[ChannelConfig]:
    channels = [
        channel
        for channel in settings.channels
        if registry.spec(channel.adapter_key).simulator and address in (None, f"{channel.region}/{channel.name}")
    ]
    if not channels:
        raise Misconfigured(f"no channel {address or ''} with a simulator is configured")
    return channels


def _provider(settings: Settings, registry: Registry, channel: ChannelConfig) -> Any:
    server = settings.gateway.server
    try:
        return registry.simulator(channel.adapter_key).from_settings(  # type: ignore[union-attr]
            channel.settings, channel.context, deliver_to=f"http://{server.host}:{server.port}"
        )
    except ValueError as exc:
        raise Misconfigured(str(exc)) from exc
