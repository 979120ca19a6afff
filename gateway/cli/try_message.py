"""The try command: show how a recorded message is read, without changing anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from gateway.cli.context import EXIT_FOUND, App, clear_errors, json_option, pass_app, print_json
from gateway.domain.channel import ChannelId
from gateway.domain.complaint import Status
from gateway.domain.errors import GatewayError, Misconfigured, Refused
from gateway.domain.events import CitizenMessage, MessagePart
from gateway.domain.ids import new_id
from gateway.domain.texts import text
from gateway.i18n import Language, localize
from gateway.pipeline.interpret.commands import Report, StatusQuery, Withdrawal
from gateway.pipeline.interpret.compose import Composed, Composer
from gateway.pipeline.interpret.replies import Replies
from gateway.pipeline.join import join
from gateway.ports import HTTP, Channel, RawMessage, Webhook
from gateway.ports.wire import WebhookRequest
from gateway.settings.files import Settings
from gateway.wiring import make_channels

Result = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class StageResult:
    """The result of one stage."""

    name: str
    result: Result
    failed: bool = False  # True if the message becomes a dead letter in this stage


@click.command(
    "try",
    help=text(
        "Show how a recorded message is read, stage by stage.\n\n"
        "Nothing is written and nobody is answered. CHANNEL is REGION/NAME, such as 00/sms. FILE is a whole HTTP "
        "request (.http), a JSON resource as a poll brings it, or an SMPP PDU (.pdu)."
    ),
)
@click.argument("address", metavar="CHANNEL")
@click.argument("sample", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@pass_app
def try_message(app: App, address: str, sample: Path, as_json: bool) -> None:
    """Print the result of each stage for a sample; exit 1 if the message cannot be read."""
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
        stages = list(_stages(settings, channel, sample.read_bytes()))
    if as_json:
        print_json([{"stage": stage.name, "result": stage.result} for stage in stages])
    else:
        for stage in stages:
            click.echo(f"{stage.name:<10} {_pretty(stage.result, app.language)}")
    raise SystemExit(EXIT_FOUND if any(stage.failed for stage in stages) else 0)


def _stages(settings: Settings, channel: Channel, payload: bytes) -> Iterator[StageResult]:
    """Yield the stages that a payload passes through, up to the answer or the first failure."""
    content_type = channel.adapter.recognises(payload) or HTTP
    if content_type == HTTP and isinstance(channel.adapter, Webhook):
        yield _verified(channel.adapter, payload)
    raw = RawMessage(
        id=new_id(),
        region=channel.region,
        channel=channel.name,
        content_type=content_type,
        payload=payload,
        received_at=datetime.now(UTC),
    )
    try:
        events = channel.adapter.translate(raw)
    except GatewayError as exc:
        yield StageResult("translate", {"error": exc.reason}, failed=True)
        return
    composer = Composer(settings.gateway, [region.file for region in settings.regions], settings.gateway.templates)
    for event in events:
        yield StageResult("translate", {"event": type(event).__name__, **msgspec.to_builtins(event)})
        if isinstance(event, MessagePart):
            yield _part(settings, channel, raw, event)
        if isinstance(event, CitizenMessage):
            yield from _interpreted(settings, channel, composer.compose(event, raw, channel, raw.id))


def _verified(webhook: Webhook, payload: bytes) -> StageResult:
    """Return the result of `verify`. A refusal is no failure, because a sample may have no signature."""
    try:
        envelope = webhook.verify(WebhookRequest.load(payload))
    except Refused as exc:
        return StageResult("verify", {"verified": False, "why": exc.reason})
    return StageResult("verify", {"verified": True, "key": envelope.key})


def _interpreted(settings: Settings, channel: Channel, composed: Composed) -> Iterator[StageResult]:
    """Yield the stages of a citizen's message: its commands, the complaint, the agency, the answer."""
    yield StageResult("commands", {"request": type(composed.request).__name__, **asdict(composed.request)})
    if composed.complaint is not None:
        complaint = msgspec.to_builtins(composed.complaint)
        shown = ("title", "classification", "category", "place", "reporter")
        yield StageResult("enrich", {name: complaint[name] for name in shown})
        yield StageResult("route", complaint["agency"])
    yield StageResult("answer", _answer(settings, channel, composed))


def _part(settings: Settings, channel: Channel, raw: RawMessage, part: MessagePart) -> StageResult:
    """Return the parts that are still missing, and the text of this part alone."""
    missing = [number for number in range(1, part.total + 1) if number != part.number]
    try:
        alone = join(channel, {part.number: raw}, part.total, settings.gateway.templates).text
    except GatewayError as exc:
        return StageResult("join", {"error": exc.reason}, failed=True)
    waits = {"waits_for": missing, "seconds": settings.gateway.conversation.parts_wait} if missing else {}
    return StageResult("join", {**waits, "alone": alone})


_SAMPLE_TICKET = "12345671"
_NOBODY = text("nobody: ourselves, a short code, a machine, or a channel without replies")
_IN_WORDS = frozenset({"error", "why", "reason", "to"})  # fields whose values are texts for people


def _answer(settings: Settings, channel: Channel, composed: Composed) -> Result:
    """Return the reply and its recipient, with a sample ticket and a sample status instead of the centre's."""
    if composed.contact is None:
        return {"to": str(_NOBODY)}
    reply, otherwise = _replies(settings, channel, composed)
    result: dict[str, object] = {"to": composed.contact, "text": reply, "parts": channel.replier.parts(reply)}
    if otherwise is not None:
        result |= {"otherwise": otherwise, "otherwise_parts": channel.replier.parts(otherwise)}
    return result


def _replies(settings: Settings, channel: Channel, composed: Composed) -> tuple[str, str | None]:
    """Return the reply, and the reply if the ticket is not the sender's (`None` if no ticket was named)."""
    names = {region.file.code: region.file.name for region in settings.regions}
    replies = Replies(settings.gateway.templates, names)
    request = composed.request
    if composed.complaint is not None:
        return replies.ticket(composed.complaint, channel.region, _SAMPLE_TICKET), None
    if isinstance(request, StatusQuery):
        desk, now = settings.gateway.national_desk, datetime.now(UTC)
        return replies.status(request.ticket, Status.RECEIVED, desk, now), replies.status_unknown(request.ticket)
    if isinstance(request, Withdrawal):
        return replies.withdrawn(request.ticket), replies.status_unknown(request.ticket)
    assert not isinstance(request, Report)  # noqa: S101  a report has a complaint
    return replies.to_command(request), None


def _pretty(result: Result, language: Language) -> str:
    filled = {name: value for name, value in result.items() if value not in (None, (), [], {})}
    return ("\n" + " " * 11).join(f"{name}: {_words(name, value, language)}" for name, value in filled.items())


def _words(name: str, value: object, language: Language) -> str:
    """Return a value for reading, such as `code: 18.10, reason: …`; empty values in tables are left out."""
    if isinstance(value, dict):
        filled = {inner: part for inner, part in value.items() if part not in (None, (), [])}
        return ", ".join(f"{inner}: {_words(inner, part, language)}" for inner, part in filled.items())
    if isinstance(value, list | tuple):
        return "; ".join(_words(name, part, language) for part in value)
    return localize(value, language) if name in _IN_WORDS and isinstance(value, str) else str(value)
