"""Build one gateway from its settings. Only this module and `wiring` choose the concrete classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gateway.central.port import CentralStore
from gateway.central.tables import metadata as central_metadata
from gateway.domain.channel import ChannelId
from gateway.domain.errors import Misconfigured, Unavailable
from gateway.domain.texts import text
from gateway.observe.logs import log
from gateway.observe.metrics import Metrics
from gateway.pipeline.casework import Casework
from gateway.pipeline.commit import Committer, GroupCommit
from gateway.pipeline.interpret.compose import Composer
from gateway.pipeline.join import Joining
from gateway.pipeline.receive import Receiver
from gateway.ports import Channel, Poller
from gateway.ports.registry import Registry
from gateway.runtime.jobs import Jobs
from gateway.runtime.lines import Lines
from gateway.runtime.worker import Stage
from gateway.settings.files import Settings
from gateway.spool import Spool
from gateway.spool.activity import ActivityLog
from gateway.spool.tables import metadata as spool_metadata
from gateway.storage import migrate
from gateway.storage.database import Database
from gateway.storage.encrypted import missing_key
from gateway.storage.tables import TableSet
from gateway.wiring import Wiring

STAGES = ("intake", "gather", "deliver", "acknowledge")


@dataclass(frozen=True, kw_only=True, slots=True)
class Gateway:
    """The gateway of one process, before anything runs."""

    settings: Settings
    channels: Mapping[ChannelId, Channel]
    database: Database
    central_database: Database
    spool: Spool
    central: CentralStore
    composer: Composer
    joining: Joining
    casework: Casework
    metrics: Metrics
    activity: ActivityLog
    receiver: Receiver
    committer: Committer
    commit: GroupCommit
    lines: Lines
    jobs: Jobs
    stages: Mapping[str, Stage]  # by name, in the order of the flow

    @property
    def polled(self) -> list[Channel]:
        """Return the channels that are polled."""
        return [channel for channel in self.channels.values() if isinstance(channel.adapter, Poller)]

    @property
    def tables(self) -> list[TableSet]:
        """Return the tables of this gateway, with their databases."""
        return [
            TableSet("spool", spool_metadata, self.database),
            TableSet("central", central_metadata, self.central_database),
        ]

    def require_tables(self) -> None:
        """Raise `Misconfigured` if tables are missing or old; change nothing."""
        for tables in self.tables:
            with self._tolerate_unreachable_centre(tables.database):
                if migrate.pending(tables.database, [tables.part]):
                    raise Misconfigured(
                        text("the {part} tables are missing or old; run: run_gateway.py migrate", part=tables.part)
                    )

    def require_keys(self) -> None:
        """Raise `Misconfigured` if the newest stored values need a key that is not configured.

        If only the oldest ones do, log a warning: a key lost long ago must not stop the acceptance of new messages.
        """
        keyring = self.spool.keyring
        for tables in self.tables:
            with self._tolerate_unreachable_centre(tables.database):
                self._require_key(missing_key(tables.database, tables.metadata, keyring, newest=True))
                if lost := missing_key(tables.database, tables.metadata, keyring, newest=False):
                    log.warning("old key missing", reason=f"old values need key {lost}; put it back into the list")

    @contextmanager
    def _tolerate_unreachable_centre(self, database: Database) -> Iterator[None]:
        """Log a warning if the centre's own database does not answer: messages are accepted, and deliveries wait."""
        try:
            yield
        except Unavailable as exc:
            if database is self.database:
                raise
            log.warning("centre not reachable", reason=exc.reason)

    def _require_key(self, missing: str | None) -> None:
        if missing:
            raise Misconfigured(
                text(
                    "stored values need key {missing}, which is not in [encryption] keys; put the old key back (if it is lost for good: keep this database aside, and start with an empty one)",
                    missing=missing,
                )
            )

    def prepare(self) -> None:
        """Migrate tables in SQLite files and end all leases in them, because this process is their only user.

        Raises `Misconfigured` if tables in PostgreSQL are missing or old (the operator decides when to migrate them) or
        a key is missing, and `Unavailable` if another process uses the SQLite file.
        """
        for tables in self.tables:
            if tables.database.is_sqlite:
                tables.database.claim_file()
                migrate.migrate(tables.database, [tables.part])
        self.require_tables()
        self.require_keys()
        if self.database.is_sqlite:
            self.spool.inbox.abandon_all()
            self.spool.outbox.abandon_all()
            self.spool.leases.abandon_all()

    def close(self) -> None:
        """Close all connections."""
        self.database.close()
        if self.central_database is not self.database:
            self.central_database.close()


def now() -> datetime:
    """Return the time, aware, in UTC."""
    return datetime.now(UTC)


def build(settings: Settings, registry: Registry) -> Gateway:
    """Return the gateway of these settings, before it opens connections or starts threads.

    Raises `Misconfigured` or `Unavailable` if a database URL, an SQLite file or an adapter's package cannot be used.
    """
    wiring = Wiring(settings, registry, now)
    receiver, committer, commit = wiring.receiving()
    lines = Lines(wiring.spool, committer, wiring.channels.values(), timedelta(seconds=wiring.work.line_lease))
    intake, gatherer = wiring.interpreting()
    stages: list[Stage] = [intake, gatherer, wiring.delivering(), wiring.answering(lines)]
    retention = timedelta(days=settings.gateway.retention.raw_days)
    return Gateway(
        settings=settings,
        channels=wiring.channels,
        database=wiring.database,
        central_database=wiring.central_database,
        spool=wiring.spool,
        central=wiring.central,
        composer=wiring.composer,
        joining=wiring.joining,
        casework=wiring.casework,
        metrics=wiring.metrics,
        activity=wiring.activity,
        receiver=receiver,
        committer=committer,
        commit=commit,
        lines=lines,
        jobs=Jobs(wiring.spool, receiver, wiring.activity, wiring.metrics, retention),
        stages={stage.name: stage for stage in stages},
    )
