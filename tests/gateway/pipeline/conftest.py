"""Fixtures of the tests of the pipeline: a toy channel whose long messages come in parts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from adapters import BUILTIN
from gateway.bootstrap import Gateway
from gateway.ports.registry import Registry, Spec
from gateway.spool.tables import Kind, outbox
from tests.gateway.fixture_types import Rows
from tests.gateway.pipeline.waves import Radio, Waves
from tests.gateway.site import Site
from tests.gateway.support import StillClock


@pytest.fixture
def radio(monkeypatch: pytest.MonkeyPatch) -> type[Radio]:
    """Return the toy adapter, fresh."""
    monkeypatch.setattr(Radio, "sent", [])
    monkeypatch.setattr(Radio, "broken", None)
    return Radio


@pytest.fixture
def waves(site: Site, clock: StillClock, radio: type[Radio], monkeypatch: pytest.MonkeyPatch) -> Waves:
    """Register the toy beside the built-in adapters."""
    module = ModuleType("toy_radio")
    module.Radio = radio  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "toy_radio", module)
    site.registry = Registry({**BUILTIN, "toy.radio": Spec("toy_radio:Radio", "")})
    return Waves(site, clock)


@pytest.fixture
def replies(rows: Rows) -> Callable[[Gateway], list[str]]:
    """Return a function that reads the texts of all replies of a gateway, sent or not."""

    def read(gateway: Gateway) -> list[str]:
        with gateway.database.read() as connection:
            chosen = outbox.select().where(outbox.c.kind == Kind.REPLY).order_by(outbox.c.id)
            return [gateway.spool.outbox.unseal(row).text for row in connection.execute(chosen)]

    return read
