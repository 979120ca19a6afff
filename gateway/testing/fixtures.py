"""The fixtures of all tests, as a pytest plugin: databases, no network, an HTTP server, and waiting for a condition."""

from __future__ import annotations

import ipaddress
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar
from urllib.parse import urlsplit

import pytest

from gateway.testing.postgres import PostgresDatabases, PostgresServer, PostgresUnavailable

T = TypeVar("T")

# URL of a running server, as superuser or with CREATEDB. Without it the tests start a server of their own.
POSTGRES_URL = "LAPOR_TEST_POSTGRES_URL"
# Set in CI: a PostgreSQL test that cannot run then fails instead of being skipped.
REQUIRE_POSTGRES = "LAPOR_TEST_REQUIRE_POSTGRES"


def started_postgres(*, durable: bool, hint: str = "") -> PostgresServer:
    """Start a server of the test's own; if it cannot run here, skip the test, or fail it if PostgreSQL is required.

    `hint` is added to the reason of the skip.
    """
    try:
        server = PostgresServer(durable=durable)
        server.start()
    except PostgresUnavailable as exc:
        if os.environ.get(REQUIRE_POSTGRES):
            pytest.fail(f"{REQUIRE_POSTGRES} is set, but {exc}")
        pytest.skip(f"no PostgreSQL of our own: {exc}{hint}")
    return server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresDatabases]:
    """Run one server for all tests; a test that crashes its server makes its own `PostgresServer`."""
    if url := os.environ.get(POSTGRES_URL):
        yield PostgresDatabases(url)
        return
    with started_postgres(durable=False, hint=f"; or name a server in {POSTGRES_URL}") as server:
        yield server


@pytest.fixture
def new_postgres_database(postgres_server: PostgresDatabases) -> Iterator[Callable[..., str]]:
    """Make databases that are dropped after the test: `new_postgres_database(template=...)` returns the URL."""
    names: list[str] = []

    def make(**options: str) -> str:
        # A random name: two runs may share the server of LAPOR_TEST_POSTGRES_URL.
        names.append(f"lapor_test_{secrets.token_hex(6)}")
        return postgres_server.create_database(names[-1], **options)

    yield make
    for name in names:
        postgres_server.drop_database(name)


@pytest.fixture
def postgres_url(new_postgres_database: Callable[..., str]) -> str:
    """Return the URL of an empty PostgreSQL database, made for this test."""
    return new_postgres_database()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Return the URL of a SQLite file, for this test only; the file does not exist yet."""
    return f"sqlite:///{tmp_path / 'gateway.sqlite'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Run the test once on each database that the gateway supports; return the URL."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Refuse every connection and every name look-up that would leave this machine."""
    allowed = {urlsplit(os.environ.get(POSTGRES_URL, "")).hostname}

    def check(host: object) -> None:
        if not _is_loopback(host) and host not in allowed:
            # fail() raises a BaseException, so code that catches Exception and tries again does not catch it.
            pytest.fail(f"a test tried to reach {host!r}; answer it with `responses` or a server on 127.0.0.1")

    def checked_connect(original: Callable[..., object]) -> Callable[..., object]:
        def connect(self: socket.socket, address: tuple[object, ...]) -> object:
            if self.family in (socket.AF_INET, socket.AF_INET6):
                check(address[0])
            return original(self, address)

        return connect

    def checked_getaddrinfo(host: object, *args: object, **options: object) -> object:
        check(host)
        return original_getaddrinfo(host, *args, **options)

    original_getaddrinfo: Callable[..., object] = socket.getaddrinfo
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", checked_connect(socket.socket.connect))
        patch.setattr(socket.socket, "connect_ex", checked_connect(socket.socket.connect_ex))
        patch.setattr(socket, "getaddrinfo", checked_getaddrinfo)
        yield


def _is_loopback(host: object) -> bool:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    # None, "" and, for a connection, the unspecified address (0.0.0.0, ::) mean this machine.
    if name in (None, "", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(str(name))
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


class Call(NamedTuple):
    """One received request."""

    method: str
    target: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    client: tuple[str, int]  # address and port; each connection has its own port


class Listener(ThreadingHTTPServer):
    """A server that keeps all requests, and answers with the status that the test sets."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Endpoint)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.answer = 200
        self.answers: list[int] = []  # statuses of the next calls; after them `answer` is used again
        self.calls: list[Call] = []


class _Endpoint(BaseHTTPRequestHandler):
    server: Listener
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._keep()

    def do_POST(self) -> None:
        self._keep()

    def _keep(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.calls.append(Call(self.command, self.path, headers, body, self.client_address))
        self.send_response(self.server.answers.pop(0) if self.server.answers else self.server.answer)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *_args: object) -> None:  # noqa: A002 - the standard library's name
        """Print nothing."""


@pytest.fixture
def endpoint() -> Iterator[Listener]:
    """Run a server that accepts every request, in place of the gateway's front door."""
    with Listener() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


class WaitFor(Protocol):
    """The type of the fixture `wait_for`."""

    def __call__(self, condition: Callable[[], T], seconds: float = 5) -> T:
        """Wait until the condition is true and return its value; fail the test after so many seconds."""


@pytest.fixture(scope="session")
def wait_for() -> WaitFor:
    """Return a function that waits until a condition is true, and returns its value."""

    def wait(condition: Callable[[], T], seconds: float = 5) -> T:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if result := condition():
                return result
            time.sleep(0.01)
        pytest.fail("did not happen in time")

    return wait
