"""check, status, try: looking, without changing anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.bootstrap import build, make_channels
from gateway.cli.context import EXIT_CONFIGURATION, EXIT_FOUND, App, clear_errors, json_option, pass_app, print_json
from gateway.complaint import Status
from gateway.errors import GatewayError, Misconfigured, Refused
from gateway.events import CitizenMessage
from gateway.ids import new_id
from gateway.pipeline.compose import Composer
from gateway.ports import HTTP, JSON, Channel, RawMessage, WebhookRequest
from gateway.schema import schemas
from gateway.settings import Settings
from gateway.settings_reader import Faults
from gateway.status import report


@click.command()
@json_option
@click.option(
    "--schema", "schema_dir", type=click.Path(file_okay=False, path_type=Path), help="Write JSON Schemas here."
)
@pass_app
def check(app: App, as_json: bool, schema_dir: Path | None) -> None:
    """Check the configuration, all of it at once.

    Reports every fault with file, key, value and remedy, and how many SMS each reply takes.

    Ends with 3 where there is a fault.
    """
    if schema_dir is not None:
        schema_dir.mkdir(parents=True, exist_ok=True)
        for name, schema in schemas(app.registry).items():
            path = schema_dir / f"{name}.schema.json"
            path.write_bytes(msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n")
            click.echo(f"wrote {path}")
        return
    try:
        settings = app.settings()
        with clear_errors():
            channels = make_channels(settings, app.registry)
    except Faults as exc:
        if as_json:
            print_json({"ok": False, "faults": [asdict(fault) for fault in exc.faults]})
        else:
            click.echo(exc.message)
        raise SystemExit(EXIT_CONFIGURATION) from exc
    parts = list(_template_parts(settings, channels.values()))
    if as_json:
        listed = [{"address": c.address, "adapter": c.adapter_key, "replies": c.replies} for c in channels.values()]
        print_json({"ok": True, "channels": listed, "templates": parts})
        return
    click.echo(f"{app.config}: no fault. Regions: {len(settings.regions)}, channels: {len(channels)}")
    for region in settings.regions:
        click.echo(f"  {region.file.code:<14} {region.file.name}")
        for config in region.channels:
            click.echo(f"    {config.name:<12} {config.adapter_key:<14} {config.context.webhook_url}")
    click.echo("replies, at their longest:")
    for part in parts:
        click.echo(f"  {part['address']:<10} {part['template']:<15} {part['parts']} SMS, {part['length']} characters")


def _template_parts(settings: Settings, channels: Any) -> Iterator[dict[str, Any]]:
    """Tell how many billed parts each reply takes at its longest: longest agency, region and status."""
    file = settings.gateway
    agencies = [file.national_desk, *(route.agency for route in file.routes)]
    for region in settings.regions:
        agencies += [route.agency for route in region.file.routes]
        agencies += [region.file.agency] if region.file.agency else []
    values = {
        "ticket": "1234567890",
        "agency": max(agencies, key=len),
        "region": max((region.file.name for region in settings.regions), key=len),
        "status": max((file.templates.status_words.get(word, word.value) for word in Status), key=len),
        "date": "31-12-2026",
    }
    for channel in channels:
        if not channel.replies:
            continue
        for name in ("ticket", "status", "status_unknown", "status_format", "help"):
            text = getattr(file.templates, name).format(**values)
            parts = channel.adapter.parts(text)
            yield {"address": channel.address, "template": name, "parts": parts, "length": len(text)}


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
        finally:
            gateway.close()
    if as_json:
        print_json(asdict(found))
    elif found.problem:
        click.echo(f"basis data / database: {found.problem}")
    else:
        click.echo(f"{found.waiting} menunggu / waiting, {found.dead} surat mati / dead letters")
        for channel in found.channels:
            word = "lancar / flowing" if channel.healthy else "PERLU TINDAKAN / NEEDS ACTION"
            click.echo(f"{channel.region}/{channel.name} ({channel.adapter}): {word}")
            for indonesian, english in zip(channel.indonesian, channel.english, strict=True):
                click.echo(f"  - {indonesian} / {english}")
    raise SystemExit(0 if found.healthy else EXIT_FOUND)


@click.command("try")
@click.argument("address", metavar="CHANNEL")
@click.argument("sample", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@pass_app
def try_message(app: App, address: str, sample: Path, as_json: bool) -> None:
    """Show what a recorded message becomes.

    Stage by stage; nothing is written, nobody is answered. CHANNEL is REGION/NAME, as 00/sms. FILE is a whole HTTP request (.http), or a JSON resource as a poll brings it.
    """
    with clear_errors():
        settings = app.settings()
        region, _, name = address.partition("/")
        channels = make_channels(settings, app.registry)
        channel = channels.get((region, name))
        if channel is None:
            listed = ", ".join(f"{r}/{n}" for r, n in channels) or "none"
            raise Misconfigured(f"there is no channel {address!r}; configured: {listed}")
        composer = Composer(settings.gateway, [one.file for one in settings.regions])
        stages = list(_stages(channel, composer, sample.read_bytes()))
    if as_json:
        print_json([{"stage": stage, "result": result} for stage, result in stages])
    else:
        for stage, result in stages:
            click.echo(f"{stage:<10} {_pretty(result)}")
    raise SystemExit(EXIT_FOUND if any("error" in result for _, result in stages) else 0)


def _stages(channel: Channel, composer: Composer, payload: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    kind = JSON if payload.lstrip()[:1] == b"{" else HTTP
    if kind == HTTP:
        try:
            envelope = channel.adapter.verify(WebhookRequest.load(payload))
            yield "verify", {"verified": True, "key": envelope.key}
        except Refused as exc:
            yield "verify", {"verified": False, "why": exc.reason}
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
        yield "translate", {"error": exc.reason}
        return
    for event in events:
        yield "translate", {"event": type(event).__name__, **msgspec.to_builtins(event)}
        if not isinstance(event, CitizenMessage):
            continue
        composed = composer.compose(event, raw, channel, raw.id)
        yield "assemble", {"request": type(composed.request).__name__, **asdict(composed.request)}
        if composed.complaint is not None:
            seen = msgspec.to_builtins(composed.complaint)
            yield "enrich", {name: seen[name] for name in ("title", "classification", "category", "place", "reporter")}
            yield "route", seen["agency"]
        yield "answer", {"to": composed.contact or "nobody: ourselves, a short code, a machine, or a silent channel"}


def _pretty(result: dict[str, Any]) -> str:
    return ("\n" + " " * 11).join(f"{name}: {value}" for name, value in result.items() if value not in (None, (), []))
