"""The check command: report the configuration's faults without changing anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypedDict

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


class ReplySize(TypedDict):
    """The largest size of one reply on one channel, as in the JSON output: billed parts and characters."""

    address: str
    template: str
    parts: int
    length: int


@click.command(
    help=text(
        "Check the whole configuration.\n\n"
        "Reports all faults at once, each with file, key, value and remedy, and how many SMS each reply takes.\n\n"
        "Ends with 3 if there is a fault."
    )
)
@json_option
@click.option(
    "--schema",
    "schema_dir",
    type=click.Path(file_okay=False, path_type=Path),
    help=text("Write JSON Schemas for editors into this directory, and check nothing."),
)
@pass_app
def check(app: App, as_json: bool, schema_dir: Path | None) -> None:
    """Print the configuration's faults, or its channels and the sizes of its replies; with `--schema` write schemas."""
    if schema_dir is not None:
        _write_schemas(app, schema_dir)
        return
    try:
        settings = app.settings()
        with clear_errors(app.language):
            channels = make_channels(settings, app.registry)
    except Faults as exc:
        _print_faults(exc.faults, app.language, as_json=as_json)
        raise SystemExit(EXIT_CONFIGURATION) from exc
    sizes = list(_reply_sizes(settings, channels.values()))
    ignored = [str(path) for path in unread(app.config)]
    if as_json:
        listed = [{"address": str(c.id), "adapter": c.adapter_key, "replies": c.replies} for c in channels.values()]
        print_json({"ok": True, "channels": listed, "templates": sizes, "ignored": ignored})
        return
    for name in ignored:
        app.say(text("warning: {name} is not read: a region file ends in .toml", name=name))
    _print_channels(app, settings, channels)
    _print_sizes(app, sizes)


def _write_schemas(app: App, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas(app.registry).items():
        path = directory / f"{name}.schema.json"
        # The hook converts descriptions to str, because msgspec does not encode `Text`, a subclass of str.
        path.write_bytes(msgspec.json.format(msgspec.json.encode(schema, enc_hook=str), indent=2) + b"\n")
        app.say(text("wrote {path}", path=path))


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
            has_webhook = isinstance(channels[ChannelId(config.region, config.name)].adapter, Webhook)
            url = config.context.webhook_url if has_webhook else "–"
            click.echo(f"    {config.name:<12} {config.adapter_key:<14} {url}")


def _print_sizes(app: App, sizes: Iterable[ReplySize]) -> None:
    app.say(text("replies, at their longest:"))
    for size in sizes:
        shown = localize(
            text("{parts} SMS, {length} characters", parts=size["parts"], length=size["length"]), app.language
        )
        click.echo(f"  {size['address']:<14} {size['template']:<15} {shown}")


def _print_faults(faults: list[Fault], language: Language, *, as_json: bool) -> None:
    if as_json:
        shown = [replace(fault, problem=localize(fault.problem, language)) for fault in faults]
        print_json({"ok": False, "faults": [asdict(fault) for fault in shown]})
        return
    echo_faults(faults, language)


def _reply_sizes(settings: Settings, channels: Iterable[Channel]) -> Iterator[ReplySize]:
    """Yield the size of each reply on each channel, filled with the longest agency, region and status word."""
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
