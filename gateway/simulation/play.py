"""The `simulate` command: the simulators of the configured channels, and a citizen for each."""

from __future__ import annotations

import os
import signal
import threading
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

import click

from gateway.domain.errors import Misconfigured, Unavailable
from gateway.ports.registry import Registry
from gateway.settings.files import ChannelConfig, Settings
from gateway.simulation.simulator import Simulator, said

_PATIENCE = 15  # seconds until a reply must have come
_ASK_EVERY = 0.2  # seconds


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
    channels = _simulated(settings, registry, address)
    providers = [_provider(settings, registry, channel) for channel in channels]
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if until_eof:
        threading.Thread(target=_stop_at_eof, args=(stop,), daemon=True).start()
    simulator = Simulator(providers, samples, rate=rate)
    try:
        simulator.start()
    except OSError as exc:
        taken, its = next((c, p) for c, p in zip(channels, providers, strict=True) if p.url == exc.filename)
        raise Unavailable(
            f"the simulator cannot listen on {exc.filename.removeprefix('http://')} "
            f"({_setting(taken, its)}): {(exc.strerror or '').lower()}; "
            "stop the program that has it (see: ss -ltnp), or change that port in the configuration"
        ) from exc
    try:
        if count is not None:
            simulator.play(count)
            stop.wait(2)  # the last replies are on their way
            return
        player = threading.Thread(target=lambda: simulator.play(2**31), daemon=True)
        player.start()
        stop.wait()
    finally:
        simulator.stop()


def _stop_at_eof(stop: threading.Event) -> None:
    """Wait for the program that started us to end: the pipe it holds closes with it, however it dies."""
    while os.read(0, 1024):  # not sys.stdin: its lock would still be held when the interpreter ends
        pass
    stop.set()


def send_one(settings: Settings, registry: Registry, address: str | None, sender: str, text: str) -> int:
    """Send one message, show the answer, and return the exit code.

    The answer comes to the simulator that runs with the gateway, which is asked for it, or to ours where none runs.
    """
    channel = _simulated(settings, registry, address)[0]
    provider = _provider(settings, registry, channel)
    simulator = Simulator([provider], rate=1)
    try:
        simulator.start()
    except OSError:  # the port belongs to the simulator that plays beside the gateway
        try:
            return _send_beside(provider, sender, text)
        except (OSError, ValueError, LookupError) as also:
            raise Unavailable(
                f"{provider.url} ({_setting(channel, provider)}) is taken by a program that "
                "is no simulator; stop it (see: ss -ltnp), or change that port in the configuration"
            ) from also
    try:
        if simulator.send_one(sender, text) != HTTPStatus.OK:
            return 1
        return _told(simulator.wait_for_reply(sender, _PATIENCE))
    finally:
        simulator.stop()


def _send_beside(provider: Any, sender: str, text: str) -> int:
    """Send one message, and ask the simulator that runs already for the reply."""
    before = len(provider.replies_elsewhere(sender))
    click.echo(f"{sender} -> {provider.sender}: {text}")
    sent = provider.send(sender, text)
    if sent.status != HTTPStatus.OK:
        click.echo(f"  ! the gateway answered {said(sent)}")
        return 1
    deadline, reply = time.monotonic() + _PATIENCE, None
    while reply is None and time.monotonic() < deadline:
        time.sleep(_ASK_EVERY)
        reply = next(iter(provider.replies_elsewhere(sender)[before:]), None)
    if reply is not None:
        click.echo(f"{provider.sender} => {sender}: {reply}")
    return _told(reply)


def _told(reply: str | None) -> int:
    if reply is None:
        click.echo(
            f"no answer within {_PATIENCE} seconds: see the status page; a sender who said STOP, or who has had "
            "[replies] per_hour answers in this hour, gets none"
        )
    return 1 if reply is None else 0


def _setting(channel: ChannelConfig, provider: Any) -> str:
    """Name the setting that says where a provider is: in the channel's own table, or in that of its adapter."""
    return f'{provider.setting} of channel {channel.region}/{channel.name} or of [adapters."{channel.adapter_key}"]'


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
