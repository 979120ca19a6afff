"""try: what a recorded message becomes, without changing anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.cli.context import EXIT_FOUND, App, clear_errors, json_option, pass_app, print_json
from gateway.domain.channel import ChannelId
from gateway.domain.complaint import Status
from gateway.domain.errors import GatewayError, Misconfigured, Refused
from gateway.domain.events import CitizenMessage, MessagePart
from gateway.domain.ids import new_id
from gateway.domain.texts import text
from gateway.pipeline.interpret.commands import Report, StatusQuery, Withdrawal
from gateway.pipeline.interpret.compose import Composed, Composer
from gateway.pipeline.interpret.replies import Replies
from gateway.pipeline.join import join
from gateway.ports import HTTP, Channel, RawMessage, Webhook
from gateway.ports.wire import WebhookRequest
from gateway.settings.files import Settings
from gateway.wiring import make_channels


@click.command("try")
@click.argument("address", metavar="CHANNEL")
@click.argument("sample", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@pass_app
def try_message(app: App, address: str, sample: Path, as_json: bool) -> None:
    """Show what a recorded message becomes.

    Stage by stage; nothing is written, nobody is answered. CHANNEL is REGION/NAME, as 00/sms. FILE is a whole HTTP request (.http), a JSON resource as a poll brings it, or an SMPP PDU (.pdu).
    """
    with clear_errors(app.language):
        settings = app.settings()
        region, _, name = address.partition("/")
        channels = make_channels(settings, app.registry)
        channel = channels.get(ChannelId(region, name))
        if channel is None:
            listed = ", ".join(f"{r}/{n}" for r, n in channels) or "none"
            raise Misconfigured(
                text("there is no channel {address}; configured: {listed}", address=repr(address), listed=listed)
            )
        composer = Composer(settings.gateway, [one.file for one in settings.regions], settings.gateway.templates)
        stages = list(_stages(settings, channel, composer, sample.read_bytes()))
    if as_json:
        print_json([{"stage": stage, "result": result} for stage, result, _ in stages])
    else:
        for stage, result, _ in stages:
            click.echo(f"{stage:<10} {_pretty(result)}")
    raise SystemExit(EXIT_FOUND if any(failed for _, _, failed in stages) else 0)


def _stages(
    settings: Settings, channel: Channel, composer: Composer, payload: bytes
) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Yield each stage's name and result, and whether it failed for good."""
    kind = channel.adapter.recognises(payload) or HTTP
    if kind == HTTP and isinstance(channel.adapter, Webhook):
        try:
            envelope = channel.adapter.verify(WebhookRequest.load(payload))
            yield "verify", {"verified": True, "key": envelope.key}, False
        except Refused as exc:
            yield "verify", {"verified": False, "why": exc.reason}, False
    raw = RawMessage(
        id=new_id(),
        region=channel.region,
        channel=channel.name,
        content_type=kind,
        payload=payload,
        received_at=datetime.now(UTC),
    )
    try:
        events = channel.adapter.translate(raw)
    except GatewayError as exc:
        yield "translate", {"error": exc.reason}, True
        return
    for event in events:
        yield "translate", {"event": type(event).__name__, **msgspec.to_builtins(event)}, False
        if isinstance(event, MessagePart):
            yield _part(settings, channel, raw, event)
        if not isinstance(event, CitizenMessage):
            continue
        composed = composer.compose(event, raw, channel, raw.id)
        yield "commands", {"request": type(composed.request).__name__, **asdict(composed.request)}, False
        if composed.complaint is not None:
            seen = msgspec.to_builtins(composed.complaint)
            shown = ("title", "classification", "category", "place", "reporter")
            yield "enrich", {name: seen[name] for name in shown}, False
            yield "route", seen["agency"], False
        yield "answer", _answer(settings, channel, composed), False


def _part(settings: Settings, channel: Channel, raw: RawMessage, part: MessagePart) -> tuple[str, dict[str, Any], bool]:
    """Tell what a part waits for, and what it reads like alone."""
    missing = [number for number in range(1, part.total + 1) if number != part.number]
    try:
        alone = join(channel, {part.number: raw}, part.total, settings.gateway.templates).text
    except GatewayError as exc:
        return "join", {"error": exc.reason}, True
    waits = {"waits_for": missing, "seconds": settings.gateway.conversation.parts_wait} if missing else {}
    return "join", {**waits, "alone": alone}, False


_SAMPLE_TICKET = "12345671"


def _answer(settings: Settings, channel: Channel, composed: Composed) -> dict[str, Any]:
    """Return who would be answered, and with what; the ticket is a sample, and so is what the centre says of it."""
    if composed.contact is None:
        return {"to": "nobody: ourselves, a short code, a machine, or a silent channel"}
    request, otherwise = composed.request, None
    names = {region.file.code: region.file.name for region in settings.regions}
    replies, now = Replies(settings.gateway.templates, names), datetime.now(UTC)
    if composed.complaint is not None:
        text = replies.ticket(composed.complaint, channel.region, _SAMPLE_TICKET)
    elif isinstance(request, StatusQuery):
        text = replies.status(request.ticket, Status.RECEIVED, settings.gateway.national_desk, now)
        otherwise = replies.status_unknown(request.ticket)
    elif isinstance(request, Withdrawal):
        text, otherwise = replies.withdrawn(request.ticket), replies.status_unknown(request.ticket)
    else:
        assert not isinstance(request, Report)  # noqa: S101  a report has a complaint
        text = replies.to_command(request)
    found = {"to": composed.contact, "text": text, "parts": channel.replier.parts(text)}
    if otherwise is not None:  # where the ticket is not theirs
        found |= {"otherwise": otherwise, "otherwise_parts": channel.replier.parts(otherwise)}
    return found


def _pretty(result: dict[str, Any]) -> str:
    lines = (f"{name}: {_words(value)}" for name, value in result.items() if value not in (None, (), [], {}))
    return ("\n" + " " * 11).join(lines)


def _words(value: Any) -> str:
    """Return a value as a reader wants it: `code: 18.10, reason: …`, without what is not there."""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_words(inner)}" for name, inner in value.items() if inner not in (None, (), []))
    if isinstance(value, list | tuple):
        return "; ".join(_words(inner) for inner in value)
    return str(value)
