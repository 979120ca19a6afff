"""What every test may ask for: a real database of either kind, foreign programs, and a machine that reaches nobody."""

import ipaddress
import os
import secrets
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

sys.path.insert(0, str(Path(__file__).parent / "peers"))

from foreign import CACHE, Absent, absent
from foreign.smsc import node_modules

from gateway.testing.postgres import PostgresDatabases, PostgresServer, PostgresUnavailable

# A server that is there already, as superuser or with CREATEDB. Without it the tests start one of their own.
POSTGRES_URL = "LAPOR_TEST_POSTGRES_URL"
# Set in CI: a PostgreSQL test that cannot run is then a failure, never a quiet skip.
REQUIRE_POSTGRES = "LAPOR_TEST_REQUIRE_POSTGRES"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresDatabases]:
    """One server for the whole run. Tests that crash theirs make a `PostgresServer` of their own."""
    if url := os.environ.get(POSTGRES_URL):
        yield PostgresDatabases(url)
        return
    try:
        server = PostgresServer(durable=False)
        server.start()
    except PostgresUnavailable as exc:
        if os.environ.get(REQUIRE_POSTGRES):
            pytest.fail(f"{REQUIRE_POSTGRES} is set, but {exc}")
        pytest.skip(f"no PostgreSQL: {exc}; or name a server in {POSTGRES_URL}")
    with server:
        yield server


@pytest.fixture
def new_postgres_database(postgres_server: PostgresDatabases) -> Iterator[Callable[..., str]]:
    """Make databases that end with the test: `new_postgres_database(template=...)` returns the URL."""
    made: list[str] = []

    def make(**options: Any) -> str:
        # Random, because two runs may share the server that LAPOR_TEST_POSTGRES_URL names.
        made.append(f"lapor_test_{secrets.token_hex(6)}")
        return postgres_server.create_database(made[-1], **options)

    yield make
    for name in made:
        postgres_server.drop_database(name)


@pytest.fixture
def postgres_url(new_postgres_database: Callable[..., str]) -> str:
    """Return the URL of an empty PostgreSQL database of this test's own."""
    return new_postgres_database()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Return the URL of a SQLite file of this test's own, not there yet."""
    return f"sqlite:///{tmp_path / 'gateway.sqlite'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Run the test once on each database the gateway supports."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture(scope="session")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Name the folder that foreign programs are unpacked into."""
    return Path(os.environ.get(CACHE) or tmp_path_factory.mktemp("peers"))


@pytest.fixture(scope="session")
def modules(peers: Path) -> Path:
    """Install the npm peer, and name the folder of its modules."""
    try:
        return node_modules(peers / "node")
    except Absent as exc:
        absent(exc)


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Refuse every connection and every name look-up that would leave this machine."""
    allowed = {urlsplit(os.environ.get(POSTGRES_URL, "")).hostname}

    def check(host: Any) -> None:
        if not _is_loopback(host) and host not in allowed:
            # fail() raises no Exception, so that code under test which retries on errors cannot swallow it.
            pytest.fail(f"a test tried to reach {host!r}; answer it with `responses` or a server on 127.0.0.1")

    def checked_connect(original: Callable[..., Any]) -> Callable[..., Any]:
        def connect(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6):
                check(address[0])
            return original(self, address)

        return connect

    def checked_getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
        check(host)
        return original_getaddrinfo(host, *args, **options)

    original_getaddrinfo = socket.getaddrinfo
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", checked_connect(socket.socket.connect))
        patch.setattr(socket.socket, "connect_ex", checked_connect(socket.socket.connect_ex))
        patch.setattr(socket, "getaddrinfo", checked_getaddrinfo)
        yield


def _is_loopback(host: Any) -> bool:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    # None and "" are this machine; so is the unspecified address, to whoever connects to it.
    if name in (None, "", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
