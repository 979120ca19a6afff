"""Settings → one wired gateway. The only place where concrete classes meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gateway.central.port import CentralStore
from gateway.central.sql import SqlCentralStore
from gateway.domain.errors import Misconfigured, Unavailable
from gateway.domain.texts import text
from gateway.observe.logs import log
from gateway.observe.metrics import Metrics
from gateway.pipeline.acknowledge import Acknowledger
from gateway.pipeline.casework import Casework
from gateway.pipeline.commit import Committer, GroupCommit, Tally
from gateway.pipeline.deliver import Deliverer
from gateway.pipeline.effects import EffectWriter
from gateway.pipeline.gather import Gatherer
from gateway.pipeline.handover import Handover
from gateway.pipeline.intake import Intake
from gateway.pipeline.interpret.compose import Composer
from gateway.pipeline.interpret.replies import Replies
from gateway.pipeline.join import Joining
from gateway.pipeline.receive import Receiver
from gateway.pipeline.settle import Policy, Settler
from gateway.ports import Channel, Poller, Replier
from gateway.ports.registry import Registry
from gateway.runtime.jobs import Jobs
from gateway.runtime.lines import Lines
from gateway.runtime.worker import Stage
from gateway.settings.files import Settings
from gateway.spool import Spool
from gateway.spool.activity import ActivityLog
from gateway.spool.queue import Queue
from gateway.spool.rows import InboxRow, OutboxRow
from gateway.storage import migrate
from gateway.storage.crypto import Keyring, parse_key
from gateway.storage.database import Database

STAGES = ("intake", "gather", "deliver", "acknowledge")


@dataclass(frozen=True, kw_only=True, slots=True)
class Gateway:
    """One process's gateway. Nothing runs yet."""

    settings: Settings
    channels: Mapping[tuple[str, str], Channel]
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
        """The channels that are asked by the clock."""
        return [channel for channel in self.channels.values() if isinstance(channel.adapter, Poller)]

    @property
    def tables(self) -> list[tuple[Database, str]]:
        """Which part's tables are in which database."""
        return [(self.database, "spool"), (self.central_database, "central")]

    def require_tables(self) -> None:
        """Raise `Misconfigured` where tables are missing or old; change nothing.

        A centre that cannot be asked now is no reason not to hear citizens: deliveries wait for it.
        """
        for database, part in self.tables:
            try:
                behind = migrate.pending(database, [part])
            except Unavailable as exc:
                if database is self.database:
                    raise
                log.warning("centre not reachable", reason=exc.reason)
                continue
            if behind:
                raise Misconfigured(
                    text("the {part} tables are missing or old; run: run_gateway.py migrate", part=part)
                )

    def require_keys(self) -> None:
        """Raise `Misconfigured` where what is stored needs a key that is not configured."""
        if missing := self.spool.missing_key():
            raise Misconfigured(
                text(
                    "stored values need key {missing}, which is not in [encryption] keys; put the old key back (where it is lost for good: keep this database apart, and start on an empty one)",
                    missing=missing,
                )
            )

    def prepare(self) -> None:
        """Bring embedded tables up to date, and free their claims: their one process is just starting.

        Raises `Misconfigured` where PostgreSQL's tables are behind: to migrate those is their operator's decision.
        """
        for database, part in self.tables:
            if database.is_sqlite:
                database.claim_file()
                migrate.migrate(database, [part])
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
    """Wire everything; opens no connection and starts nothing."""
    wiring = _Wiring(settings, registry)
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


class _Wiring:
    """Makes the parts of one gateway, room by room; what several rooms share is made once."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        file = settings.gateway
        self.file = file
        self.work = file.work
        self.database = _database(settings.database_url(), file.database.pool)
        self.central_database = self.database
        if settings.central_url() != settings.database_url():
            self.central_database = _database(settings.central_url(), file.database.pool)
        keyring = make_keyring(settings)
        self.metrics = Metrics()
        self.spool = Spool(self.database, keyring, now)
        self.central = SqlCentralStore(self.central_database, keyring, now)
        self.channels = make_channels(settings, registry)
        self.activity = ActivityLog(self.spool.activity)
        self.region_names = {region.file.code: region.file.name for region in settings.regions}
        self.replies = Replies(file.templates, self.region_names)
        self.composer = Composer(file, [region.file for region in settings.regions])
        self.handover = Handover()
        self.lease = timedelta(seconds=self.work.lease)
        window = timedelta(seconds=file.conversation.window)
        self.casework = Casework(self.spool, self.handover, window=window, lease=self.lease)
        parts_wait = timedelta(seconds=file.conversation.parts_wait)
        self.joining = Joining(self.spool, self.channels, self.composer, parts_wait)

    def receiving(self) -> tuple[Receiver, Committer, GroupCommit]:
        """Make what takes webhooks, polls and held connections into the inbox."""
        server = self.file.server
        tally = Tally(self.channels.values(), self.metrics, self.activity)
        committer = Committer(self.spool.inbox, tally, self.metrics)
        commit = GroupCommit(
            committer,
            group=server.group,
            queue=server.queue,
            share=server.channel_share,
            timeout=server.commit_timeout,
        )
        return Receiver(self.spool, tally, commit), committer, commit

    def interpreting(self) -> tuple[Intake, Gatherer]:
        """Make the stages that turn stored messages into cases, additions and answers."""
        effects = EffectWriter(
            self.spool,
            self.casework,
            self.handover,
            self.replies,
            self.metrics,
            replies_per_hour=self.file.replies.per_hour,
        )
        intake = Intake(
            self.spool,
            self.channels,
            self.composer,
            self.joining,
            effects,
            self.metrics,
            self.activity,
            self._settler(self.spool.inbox, Intake.name, self._policy(attempts=self.work.attempts)),
            batch=self.work.batch,
            lease=self.lease,
        )
        return intake, Gatherer(self.spool, self.joining, effects, self.metrics)

    def delivering(self) -> Deliverer:
        """Make the stage that calls the central store."""
        # The centre may take later what it cannot take now: known errors are tried again without limit.
        policy = self._policy(attempts=self.work.attempts, patient=True, foreign=True)
        return Deliverer(
            self.spool,
            self.central,
            self.replies,
            self.metrics,
            self.activity,
            self._settler(self.spool.outbox, Deliverer.name, policy),
            self.handover,
            batch=self.work.batch,
            lease=self.lease,
            replies_per_hour=self.file.replies.per_hour,
        )

    def answering(self, lines: Lines) -> Acknowledger:
        """Make the stage that calls the providers."""
        policy = self._policy(give_up=timedelta(hours=self.work.reply_hours), foreign=True)
        return Acknowledger(
            self.spool,
            self.channels,
            self.metrics,
            self.activity,
            self._settler(self.spool.outbox, Acknowledger.name, policy),
            threads=self.work.reply_threads,
            elsewhere=lines.elsewhere,
            lease=timedelta(seconds=self.work.reply_lease),
        )

    def _policy(
        self,
        *,
        attempts: int | None = None,
        patient: bool = False,
        give_up: timedelta | None = None,
        foreign: bool = False,
    ) -> Policy:
        return Policy(
            base=self.work.retry_base,
            cap=self.work.retry_cap,
            attempts=attempts,
            patient=patient,
            give_up=give_up,
            foreign=foreign,
        )

    def _settler(self, queue: Queue[InboxRow] | Queue[OutboxRow], stage: str, policy: Policy) -> Settler:
        return Settler(self.database, queue, self.metrics, stage, policy, self.spool.clock)


def make_keyring(settings: Settings) -> Keyring:
    """Return the key ring of a configuration."""
    section = settings.gateway.encryption
    return Keyring([parse_key(key.reveal()) for key in section.keys], parse_key(section.lookup_key.reveal()))


def make_channels(settings: Settings, registry: Registry) -> dict[tuple[str, str], Channel]:
    """Return one channel with its adapter for each configured one."""
    made = [
        (config, registry.adapter(config.adapter_key)(config.settings, config.context)) for config in settings.channels
    ]
    # Of all channels: two of our own numbers must not begin to talk with each other.
    ours = frozenset(
        address for _, adapter in made if isinstance(adapter, Replier) for address in adapter.own_addresses
    )
    channels = {}
    for config, adapter in made:
        answers = isinstance(adapter, Replier)
        channels[config.region, config.name] = Channel(
            region=config.region,
            name=config.name,
            adapter_key=config.adapter_key,
            adapter=adapter,
            own_addresses=ours,
            replies=config.replies and answers,
        )
    return channels


def _database(url: str, pool: int) -> Database:
    try:
        return Database(url, pool_size=pool)
    except ModuleNotFoundError as exc:
        raise Misconfigured(
            text(
                "the database URL needs the Python package {name}; install it: pip install 'lapor-gateway[postgres]'",
                name=repr(exc.name),
            )
        ) from exc
    except OSError as exc:  # the directory or the file of SQLite
        raise Unavailable(
            text(
                "{filename} cannot be made: {cause}; check owner and permissions of it and its directory",
                filename=exc.filename,
                cause=exc.strerror,
            )
        ) from exc
    except Exception as exc:
        # Not the URL itself: a password may stand anywhere in it.
        raise Misconfigured(
            text("the database URL cannot be used ({error}); see [database] url", error=type(exc).__name__)
        ) from exc
