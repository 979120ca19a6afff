"""Every help page, and every description of a setting of the gateway and of its adapters, is in the catalogue."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import get_args

import click
import pytest
from babel.messages.pofile import read_po
from pydantic import BaseModel

import run_gateway
from adapters import BUILTIN
from gateway.i18n.catalogue import LOCALE
from gateway.ports.registry import Registry
from gateway.settings.files import ChannelFile, GatewayFile, RegionFile


@pytest.fixture(scope="module")
def catalogue() -> set[str]:
    catalogue = read_po(io.BytesIO((LOCALE / "id/LC_MESSAGES/lapor.po").read_bytes()), locale="id")
    return {message.id for message in catalogue if isinstance(message.id, str)}


def help_texts(command: click.Command) -> Iterator[str]:
    yield command.help or "no help"
    for param in command.params:
        if isinstance(param, click.Option) and not param.hidden:
            yield param.help or f"no help: {param.name}"
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            yield from help_texts(inner)


def descriptions(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield field.description or f"no description: {name}"
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from descriptions(kind)


def test_every_help_page_is_in_the_catalogue(catalogue: set[str]) -> None:
    assert sorted(set(help_texts(run_gateway.main)) - catalogue) == []


@pytest.mark.parametrize("model", [GatewayFile, RegionFile, ChannelFile])
def test_every_description_of_a_setting_is_in_the_catalogue(model: type[BaseModel], catalogue: set[str]) -> None:
    assert sorted(set(descriptions(model)) - catalogue) == []


@pytest.mark.parametrize("key", BUILTIN)
def test_every_description_of_an_adapters_setting_is_in_the_catalogue(key: str, catalogue: set[str]) -> None:
    settings = Registry(BUILTIN).adapter(key).Settings
    assert sorted(set(descriptions(settings)) - catalogue) == []


def test_the_settings_of_tables_inside_tables_are_described_too() -> None:
    described = set(descriptions(Registry(BUILTIN).adapter("sms.http").Settings))
    assert "Field with the user data header (UDH)." in described  # [channels.<name>.receive.parts] udh
