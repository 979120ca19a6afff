"""check, status: looking, without changing anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.cli.context import EXIT_CONFIGURATION, App, clear_errors, echo_faults, json_option, pass_app, print_json
from gateway.domain.channel import ChannelId
from gateway.domain.complaint import Status
from gateway.domain.texts import text
from gateway.domain.tickets import LONGEST_TICKET
from gateway.i18n import Language, localize
from gateway.ports import Channel, Webhook
from gateway.settings.faults import Fault, Faults
from gateway.settings.files import Settings
from gateway.settings.reader import unread
from gateway.settings.schema import schemas
from gateway.settings.templates import REPLIES
from gateway.wiring import make_channels


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
            app.say(text("wrote {path}", path=path))
        return
    try:
        settings = app.settings()
        with clear_errors(app.language):
            channels = make_channels(settings, app.registry)
    except Faults as exc:
        _print_faults(exc.faults, app.language, as_json=as_json)
        raise SystemExit(EXIT_CONFIGURATION) from exc
    parts = list(_template_parts(settings, channels.values()))
    ignored = [str(path) for path in unread(app.config)]
    if as_json:
        listed = [{"address": str(c.id), "adapter": c.adapter_key, "replies": c.replies} for c in channels.values()]
        print_json({"ok": True, "channels": listed, "templates": parts, "ignored": ignored})
        return
    for name in ignored:
        app.say(text("warning: {name} is not read: a region file ends in .toml", name=name))
    _print_channels(app, settings, channels)
    app.say(text("replies, at their longest:"))
    for part in parts:
        size = localize(
            text("{parts} SMS, {length} characters", parts=part["parts"], length=part["length"]), app.language
        )
        click.echo(f"  {part['address']:<14} {part['template']:<15} {size}")


def _print_channels(app: App, settings: Settings, channels: Mapping[ChannelId, Channel]) -> None:
    app.say(
        text(
            "{path}: no fault. Regions: {regions}, channels: {channels}",
            path=app.config,
            regions=len(settings.regions),
            channels=len(channels),
        )
    )
    for region in settings.regions:
        click.echo(f"  {region.file.code:<14} {region.file.name}")
        for config in region.channels:
            called = isinstance(channels[ChannelId(config.region, config.name)].adapter, Webhook)
            url = config.context.webhook_url if called else "–"
            click.echo(f"    {config.name:<12} {config.adapter_key:<14} {url}")


def _print_faults(faults: list[Fault], language: Language, *, as_json: bool) -> None:
    if as_json:
        shown = [replace(fault, problem=localize(fault.problem, language)) for fault in faults]
        print_json({"ok": False, "faults": [asdict(fault) for fault in shown]})
        return
    echo_faults(faults, language)


def _template_parts(settings: Settings, channels: Any) -> Iterator[dict[str, Any]]:
    """Tell how many billed parts each reply takes at its longest: longest agency, region and status."""
    file = settings.gateway
    agencies = [file.national_desk, *(route.agency for route in file.routes)]
    for region in settings.regions:
        agencies += [route.agency for route in region.file.routes]
        agencies += [region.file.agency] if region.file.agency else []
    values = {
        "ticket": "9" * LONGEST_TICKET,
        "agency": max(agencies, key=len),
        "region": max((region.file.name for region in settings.regions), key=len),
        "status": max((file.templates.status_words.get(word, word.value) for word in Status), key=len),
        "date": "31-12-2026",
    }
    for channel in channels:
        if not channel.replies:
            continue
        for name in REPLIES:
            reply = getattr(file.templates, name).format(**values)
            parts = channel.replier.parts(reply)
            yield {"address": str(channel.id), "template": name, "parts": parts, "length": len(reply)}
