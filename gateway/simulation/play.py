"""Start the simulators of the configured channels and send messages of citizens, for the command `simulate`."""

from __future__ import annotations

import os
import signal
import threading
import time
from http import HTTPStatus
from pathlib import Path

import click

from gateway.domain.errors import Unavailable
from gateway.domain.texts import text
from gateway.i18n import Language, localize
from gateway.ports.registry import Registry
from gateway.settings.files import Settings
from gateway.simulation.configured import Simulated, simulated
from gateway.simulation.roles import Provider
from gateway.simulation.simulator import Simulator, refusal_text

_REPLY_TIMEOUT = 15  # seconds
_FETCH_EVERY = 0.2  # seconds
_LAST_REPLIES = 2  # seconds to wait for the replies to the last messages
_FOR_EVER = 2**31  # messages


def play(
    settings: Settings,
    registry: Registry,
    address: str | None,
    *,
    rate: float,
    count: int | None,
    samples: Path | None,
    language: Language,
    until_eof: bool = False,
) -> None:
    """Send samples until `count` were sent or a signal comes; print the replies as they come.

    `address` is one channel as "region/name", or `None` for all; `rate` is in messages per second. With `until_eof`
    the end of standard input ends it too. Raises `Misconfigured`, and `Unavailable` if a port is taken.
    """
    parties = simulated(settings, registry, address)
    stop = _stop_event(until_eof=until_eof)
    simulator = Simulator([party.provider for party in parties], samples, rate=rate, language=language)
    _start(simulator, parties)
    try:
        if count is not None:
            simulator.play(count)
            stop.wait(_LAST_REPLIES)
            return
        threading.Thread(target=simulator.play, args=(_FOR_EVER,), daemon=True).start()
        stop.wait()
    finally:
        simulator.stop()


def send_one(
    settings: Settings, registry: Registry, address: str | None, sender: str, message: str, language: Language
) -> int:
    """Send one message, print the reply, and return the exit code: 0 if a reply came, else 1.

    If another process already runs the simulator, the reply is fetched from there. Raises `Misconfigured`, or
    `Unavailable` if another program has the port.
    """
    party = simulated(settings, registry, address)[0]
    simulator = Simulator([party.provider], rate=1, language=language)
    try:
        simulator.start()
    except OSError:  # the port is taken, probably by the simulator of `serve --simulate`
        return _send_beside(party, sender, message, language)
    try:
        if simulator.send_one(sender, message) != HTTPStatus.OK:
            return 1
        return _exit_code(simulator.wait_for_reply(sender, _REPLY_TIMEOUT), language)
    finally:
        simulator.stop()


def _stop_event(*, until_eof: bool) -> threading.Event:
    """Return an event that is set by SIGTERM or SIGINT and, with `until_eof`, by the end of standard input."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if until_eof:
        threading.Thread(target=_stop_at_eof, args=(stop,), daemon=True).start()
    return stop


def _stop_at_eof(stop: threading.Event) -> None:
    """Set the event when standard input ends: the parent's pipe closes even if the parent is killed."""
    while os.read(0, 1024):  # not sys.stdin: its lock would still be held when the interpreter ends
        pass
    stop.set()


def _start(simulator: Simulator, parties: list[Simulated]) -> None:
    try:
        simulator.start()
    except OSError as exc:
        party = next(party for party in parties if party.provider.url == exc.filename)
        raise Unavailable(
            text(
                "the simulator cannot listen on {place} ({setting}): {problem}; "
                "stop the program that has it (see: ss -ltnp), or change that port in the configuration",
                place=exc.filename.removeprefix("http://"),
                setting=party.setting,
                problem=(exc.strerror or "").lower(),
            )
        ) from exc


def _send_beside(party: Simulated, sender: str, message: str, language: Language) -> int:
    try:
        return _send_and_ask(party.provider, sender, message, language)
    except (OSError, ValueError, LookupError) as exc:
        raise Unavailable(
            text(
                "{url} ({setting}) is taken by a program that is no simulator; "
                "stop it (see: ss -ltnp), or change that port in the configuration",
                url=party.provider.url,
                setting=party.setting,
            )
        ) from exc


def _send_and_ask(provider: Provider, sender: str, message: str, language: Language) -> int:
    """Send one message, and fetch the reply from the simulator that already runs."""
    before = len(provider.replies_elsewhere(sender))
    click.echo(f"{sender} -> {provider.sender}: {message}")
    outcome = provider.send(sender, message)
    if outcome.status != HTTPStatus.OK:
        refusal = text("the gateway answered {answer}", answer=refusal_text(outcome))
        click.echo(f"  ! {localize(refusal, language)}")
        return 1
    deadline, reply = time.monotonic() + _REPLY_TIMEOUT, None
    while reply is None and time.monotonic() < deadline:
        time.sleep(_FETCH_EVERY)
        reply = next(iter(provider.replies_elsewhere(sender)[before:]), None)
    if reply is not None:
        click.echo(f"{provider.sender} => {sender}: {reply}")
    return _exit_code(reply, language)


def _exit_code(reply: str | None, language: Language) -> int:
    """Return 0 for a reply; without one print the usual reasons and return 1."""
    if reply is not None:
        return 0
    reasons = text(
        "no answer within {seconds} seconds: see the status page; there is none for a sender who wrote STOP or has had "
        "[replies] per_hour answers in the last hour",
        seconds=_REPLY_TIMEOUT,
    )
    click.echo(localize(reasons, language))
    return 1
