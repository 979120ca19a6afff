"""Fixtures of the tests of the front door."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.spool.tables import inbox
from gateway.storage.database import Database
from tests.gateway.site import Site
from tests.gateway.web.door.support import LIMITS


@pytest.fixture(scope="module")
def shared(new_site: type[Site], migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the site of the one server that this module talks to."""
    root = tmp_path_factory.mktemp("site")
    return new_site(root, f"sqlite:///{root / 'gateway.db'}", None, None).write(server=LIMITS)


@pytest.fixture(scope="module")
def server(shared: Site) -> Iterator[Any]:
    with shared.process("serve") as served:
        yield served


@pytest.fixture
def stored(shared: Site) -> Iterator[Callable[..., list[Any]]]:
    """Return a function that reads the inbox rows of the shared server, oldest first."""
    database = Database(shared.url)

    def read(table: sa.Table = inbox) -> list[Any]:
        with database.read() as connection:
            return list(connection.execute(sa.select(table).order_by(table.c.id)).all())

    yield read
    database.close()
