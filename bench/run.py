"""Measure the gateway against PostgreSQL itself, in one run, and end with one line of JSON.

Absolute figures drift with the load of the machine: the ratios are the result. `ref` is pgbench: 64 clients insert the
inbox's row, one per transaction, right before and right after each figure. docs/performance.md explains the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psycopg
from fill import empty, fill
from installation import Site, resident_mib, wait_until
from load import CONNECTIONS, Outcome, Wrk, pgbench
from smsc import PASSWORD, PASSWORD_IN, WINDOW, Smsc

from gateway.testing.postgres import PostgresServer

MOST_PER_SECOND = 30_000  # more than any machine has accepted so far: requests are made beforehand
UNFINISHED = """SELECT (SELECT count(*) FROM inbox WHERE due_at IS NOT NULL)
                     + (SELECT count(*) FROM outbox WHERE due_at IS NOT NULL AND kind = 'deliver')"""


class Against:
    """Compare each figure with the reference right before and right after it: a machine's speed changes within a minute."""

    def __init__(self, reference: Callable[[], float]) -> None:
        self._reference = reference
        self._before = reference()
        self.rates: list[float] = []
        self.ratios: list[float] = []
        self.references: list[float] = []

    def add(self, name: str, rate: float, note: str = "") -> None:
        """Record and print a figure, in messages per second."""
        after = self._reference()
        self.references.append((self._before + after) / 2)
        self._before = after
        self.rates.append(rate)
        self.ratios.append(rate / self.references[-1])
        say(f"{name:<16} {rate:8,.0f}/s  ref {self.references[-1]:8,.0f}/s  ratio {self.ratios[-1]:.2f}  {note}")

    def figures(self, name: str) -> dict[str, float]:
        """Return the medians of rates and ratios."""
        return {f"{name}_per_s": statistics.median(self.rates), f"{name}_ratio": statistics.median(self.ratios)}


class Bench:
    """One PostgreSQL, one gateway, one load generator."""

    def __init__(self, server: PostgresServer, seconds: float, rounds: int, webs: int, workers: int) -> None:
        self._server = server
        self._seconds = seconds
        self._rounds = rounds
        self._webs = webs
        self._workers = workers
        url = server.create_database("bench")
        self._dsn = url.replace("+psycopg", "")
        self._site = Site(url)
        # A database of its own: pgbench's rows must not lie in the gateway's tables, nor the gateway's in pgbench's.
        self._reference_dsn = server.create_database("reference", template="bench").replace("+psycopg", "")
        self._wrk = Wrk()
        self._payload = len(self._site.requests(1)[0]) + 32  # encryption adds 32 bytes

    def close(self) -> None:
        """End all processes and remove the files."""
        self._site.close()
        self._wrk.close()

    def fill(self, count: int) -> None:
        """Store so many finished messages."""
        fill(self._dsn, count, self._site.fingerprint)

    def reference(self) -> float:
        """Return pgbench's rows per second into an empty inbox."""
        empty(self._reference_dsn)
        return pgbench(self._server.binary("pgbench"), self._reference_dsn, self._payload, self._seconds)

    def accept(self) -> dict[str, float]:
        """Measure the webhooks that are accepted and committed; the worker is off."""
        for _ in range(self._webs):
            self._site.start("web")
        self._play(2)  # warm-up
        against = Against(self.reference)
        for _ in range(self._rounds):
            outcome = self._play(self._seconds)
            against.add("accept", outcome.rate, times(outcome))
        half = statistics.median(against.rates) / 2
        pause, calm = CONNECTIONS / half * 1000, None
        for _ in range(4):  # the pause for half the load is found step by step, because a request takes time too
            calm = self._play(self._seconds / 2, pause_ms=max(0.0, pause))
            pause *= calm.rate / half
            if abs(calm.rate / half - 1) < 0.1:
                break
        assert calm is not None
        say(f"at half that load ({calm.rate:,.0f}/s): {times(calm)}")
        self._site.stop()
        self._forget()
        return against.figures("accept") | {
            "accept_p99_ms": calm.p99_ms,
            "accept_p50_ms": calm.p50_ms,
            "accept_half_load_per_s": calm.rate,
            "reference_per_s": statistics.median(against.references),
        }

    def smpp(self) -> dict[str, float]:
        """Measure the deliver_sm that are accepted and committed over one connection; no stage works meanwhile."""
        accepted = 0
        os.environ[PASSWORD_IN] = PASSWORD
        url, smsc = self._server.create_database("smpp"), Smsc()
        site = Site(url)
        site.add_channel(smsc.channel)
        try:
            site.start("work", "--stages", "acknowledge", listens=False)
            smsc.wait_bound()
            accepted += smsc.play(smsc.messages(MOST_PER_SECOND), 1)[0]  # warm-up
            against = Against(self.reference)
            for _ in range(self._rounds):
                count, seconds = smsc.play(smsc.messages(int(MOST_PER_SECOND * self._seconds)), self._seconds)
                accepted += count
                against.add(f"SMPP, window {WINDOW}", count / seconds)
            site.end()
            smsc.close()
            with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
                stored = connection.execute("SELECT count(*) FROM inbox").fetchone()
            if stored != (accepted,):
                raise SystemExit(f"{accepted} messages were accepted over SMPP, and {stored} are stored")
        finally:
            site.close()
        return against.figures("smpp_accept")

    def end_to_end(self) -> dict[str, float]:
        """Measure from webhook to central store with the reply queued: all messages, divided by the time for all of them."""
        against = Against(self.reference)
        for _ in range(self._rounds):
            for _ in range(self._webs):
                self._site.start("web")
            for _ in range(self._workers):
                self._site.start("work", "--stages", "intake,deliver", "--no-jobs", listens=False)
            self._play(1)
            wait_until(self._drained, 120, "the warm-up to be drained")
            outcome = self._play(self._seconds)
            begun = time.monotonic() - outcome.seconds  # without the time for making and loading the requests
            wait_until(self._drained, 600, "all messages to reach the central store")
            rate = outcome.accepted / (time.monotonic() - begun)
            self._site.stop()
            against.add("end to end", rate)
            self._check()
        self._forget()
        return against.figures("e2e")

    def _play(self, seconds: float, *, pause_ms: float = 0) -> Outcome:
        most = MOST_PER_SECOND if not pause_ms else 2 * CONNECTIONS * 1000 / pause_ms + 1000
        outcome = self._wrk.run(self._site.base, self._site.requests(int(most * seconds)), seconds, pause_ms=pause_ms)
        if outcome.refused or outcome.broken:
            raise SystemExit(f"{outcome.refused} requests were refused and {outcome.broken} connections broke")
        return outcome

    def _drained(self) -> bool:
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            row = connection.execute(UNFINISHED).fetchone()
        return row is not None and row[0] == 0

    def _check(self) -> None:
        """End the benchmark unless every message has its complaint and its reply: lost messages would look like speed."""
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            counts = connection.execute(
                "SELECT (SELECT count(*) FROM inbox), (SELECT count(*) FROM inbox WHERE state = 'done'),"
                " (SELECT count(*) FROM complaint), (SELECT count(*) FROM outbox WHERE kind = 'reply')"
            ).fetchone()
        assert counts is not None
        if len(set(counts)) != 1:
            raise SystemExit(f"messages, done, complaints, replies differ: {counts}")

    def _forget(self) -> None:
        """Delete the measured messages; older ones stay."""
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            old = connection.execute(
                "SELECT count(*) FROM inbox WHERE received_at < now() - interval '1 hour'"
            ).fetchone()
            if old is None or not old[0]:
                empty(self._dsn)
                return
            connection.execute(
                "DELETE FROM ticket USING cases WHERE case_id = id AND opened_at > now() - interval '1 hour'"
            )
            for table, moment in (("inbox", "received_at"), ("cases", "opened_at"), ("outbox", "created_at")):
                connection.execute(f"DELETE FROM {table} WHERE {moment} > now() - interval '1 hour'")
            connection.execute("ALTER TABLE complaint_history DISABLE TRIGGER USER")
            connection.execute("DELETE FROM complaint_history WHERE at > now() - interval '1 hour'")
            connection.execute("ALTER TABLE complaint_history ENABLE TRIGGER USER")
            connection.execute("DELETE FROM complaint WHERE created_at > now() - interval '1 hour'")
            connection.execute("TRUNCATE reply_count")
            connection.execute("VACUUM")
            connection.execute("CHECKPOINT")


def embedded(seconds: float) -> dict[str, float]:
    """Measure the all-in-one process on SQLite: its memory when idle, its speed under load."""
    site, wrk = Site(None), Wrk()
    try:
        process = site.start("serve", "--stages", "intake,deliver")
        time.sleep(5)  # the memory is measured when nothing happens
        resident = resident_mib(process.pid)
        say(f"idle all-in-one process: {resident:.0f} MiB resident")
        requests = site.requests(int(MOST_PER_SECOND * seconds))
        outcome = wrk.run(site.base, requests, seconds)
        begun = time.monotonic() - outcome.seconds
        wait_until(lambda: _drained_file(site.sqlite), 600, "SQLite to drain")
        taken = time.monotonic() - begun
        say(
            f"SQLite, all in one: accept {outcome.rate:,.0f}/s while working, end to end {outcome.accepted / taken:,.0f}/s"
        )
        return {
            "idle_rss_mib": resident,
            "sqlite_accept_per_s": outcome.rate,
            "sqlite_e2e_per_s": outcome.accepted / taken,
        }
    finally:
        site.close()
        wrk.close()


def _drained_file(database: Path) -> bool:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        return bool(connection.execute(UNFINISHED).fetchone()[0] == 0)


def times(outcome: Outcome) -> str:
    """Return the latencies in words."""
    return f"p50 {outcome.p50_ms:.1f} ms, p99 {outcome.p99_ms:.1f} ms, longest {outcome.max_ms:.0f} ms"


def say(line: str) -> None:
    """Print a line at once: a person waits for it."""
    print(line, flush=True)


def main() -> None:
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8, help="length of each measurement (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each kind; the median counts")
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="rows already stored for the growth figures; 0: none"
    )
    cores = os.cpu_count() or 1
    parser.add_argument(
        "--webs", type=int, default=cores, help="web processes (default: one for each core, %(default)s)"
    )
    parser.add_argument("--workers", type=int, default=cores, help="work processes (default %(default)s)")
    asked = parser.parse_args()
    figures: dict[str, float] = {}
    say(f"{platform.platform()}, Python {platform.python_version()}, {CONNECTIONS} connections")
    with PostgresServer() as server:
        bench = Bench(server, asked.seconds, asked.rounds, asked.webs, asked.workers)
        try:
            figures |= bench.accept() | bench.smpp() | bench.end_to_end()
            if asked.rows:
                say(f"storing {asked.rows:,} finished messages")
                bench.fill(asked.rows)
                filled = bench.accept() | bench.end_to_end()
                for name in ("accept", "e2e"):
                    # Ratios, not rates: they leave out how fast the machine is at that minute, and keep the effect of the rows.
                    figures[f"{name}_growth"] = filled[f"{name}_ratio"] / figures[f"{name}_ratio"]
                    figures[f"{name}_filled_per_s"] = filled[f"{name}_per_s"]
                    figures[f"{name}_filled_ratio"] = filled[f"{name}_ratio"]
        finally:
            bench.close()
    figures |= embedded(asked.seconds)
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
