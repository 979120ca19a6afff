"""Fixtures of the tests against the npm package smpp."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from foreign.smsc import NodeSmsc

from adapters.sms.smpp.adapter import SmppSms
from gateway.storage.database import Database
from gateway.storage.migrate import migrate
from tests.peers.support import SpoolLine, listening, make


@pytest.fixture
def smsc(modules: Path) -> Iterator[NodeSmsc]:
    made = NodeSmsc(modules)
    yield made
    made.close()


@pytest.fixture
def url(tmp_path: Path) -> str:
    made = f"sqlite:///{tmp_path / 'spool.db'}"
    database = Database(made)
    migrate(database)
    database.close()
    return made


@pytest.fixture
def line(url: str) -> Iterator[SpoolLine]:
    made = SpoolLine(url)
    yield made
    made.close()


@pytest.fixture
def adapter(smsc: NodeSmsc, line: SpoolLine) -> Iterator[SmppSms]:
    made = make(smsc.port)
    with listening(made, line, smsc):
        yield made
