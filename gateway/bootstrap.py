"""Settings → one wired gateway. The only place where concrete classes meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gateway.central.sql import SqlCentralStore
from gateway.domain.errors import Misconfigured, Unavailable
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
from gateway.pipeline.join import Joining
from gateway.pipeline.receive import Receiver
from gateway.pipeline.settle import Settler
from gateway.ports import Channel, Poller, Replier
from gateway.ports.registry import Registry
from gateway.runtime.jobs import Jobs
from gateway.runtime.lines import Lines
from gateway.runtime.worker import Stage
from gateway.settings.files import Settings
from gateway.spool import Spool
from gateway.spool.activity import ActivityLog
from gateway.spool.queue import Queue
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
    central: SqlCentralStore
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
    stages: tuple[Stage, ...]

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
                raise Misconfigured(f"the {part} tables are missing or old; run: run_gateway.py migrate")

    def require_keys(self) -> None:
        """Raise `Misconfigured` where what is stored needs a key that is not configured."""
        if missing := self.spool.missing_key():
            raise Misconfigured(
                f"stored values need key {missing}, which is not in [encryption] keys; put the old key back (where it is "
                "lost for good: keep this database apart, and start on an empty one)"
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
    file, metrics = settings.gateway, Metrics()
    database = _database(settings.database_url(), file.database.pool)
    central_database = database
    if settings.central_url() != settings.database_url():
        central_database = _database(settings.central_url(), file.database.pool)
    keyring = make_keyring(settings)
    spool = Spool(database, keyring, now)
    central = SqlCentralStore(central_database, keyring, now)
    channels = make_channels(settings, registry)
    activity = ActivityLog(spool.activity)
    server, work = file.server, file.work
    tally = Tally(channels.values(), metrics, activity)
    committer = Committer(spool.inbox, tally, metrics)
    commit = GroupCommit(
        committer,
        group=server.group,
        queue=server.queue,
        share=server.channel_share,
        timeout=server.commit_timeout,
    )
    receiver = Receiver(spool, tally, commit)

    def settler(queue: Queue, stage: str) -> Settler:
        pace = {"base": work.retry_base, "cap": work.retry_cap}
        return Settler(database, queue, metrics, stage, foreign=queue is spool.outbox, **pace)

    composer = Composer(file, [region.file for region in settings.regions])
    lease, handover = timedelta(seconds=work.lease), Handover()
    talk = file.conversation
    casework = Casework(spool, handover, window=timedelta(seconds=talk.window), lease=lease)
    effects = EffectWriter(spool, casework, handover, file.templates, metrics, replies_per_hour=file.replies.per_hour)
    joining = Joining(spool, channels, composer, timedelta(seconds=talk.parts_wait))
    gatherer = Gatherer(spool, joining, effects, metrics)
    intake = Intake(
        spool,
        channels,
        composer,
        joining,
        effects,
        metrics,
        activity,
        settler(spool.inbox, Intake.stage),
        batch=work.batch,
        lease=lease,
        attempts=work.attempts,
    )
    deliverer = Deliverer(
        spool,
        central,
        file.templates,
        {region.file.code: region.file.name for region in settings.regions},
        metrics,
        activity,
        settler(spool.outbox, Deliverer.stage),
        handover,
        batch=work.batch,
        lease=lease,
        attempts=work.attempts,
        replies_per_hour=file.replies.per_hour,
    )
    lines = Lines(spool, committer, channels.values(), timedelta(seconds=work.line_lease))
    acknowledger = Acknowledger(
        spool,
        channels,
        metrics,
        activity,
        settler(spool.outbox, Acknowledger.stage),
        threads=work.reply_threads,
        give_up=timedelta(hours=work.reply_hours),
        elsewhere=lines.elsewhere,
        lease=timedelta(seconds=work.reply_lease),
    )
    return Gateway(
        settings=settings,
        channels=channels,
        database=database,
        central_database=central_database,
        spool=spool,
        central=central,
        composer=composer,
        joining=joining,
        casework=casework,
        metrics=metrics,
        activity=activity,
        receiver=receiver,
        committer=committer,
        commit=commit,
        lines=lines,
        jobs=Jobs(spool, receiver, activity, metrics, timedelta(days=file.retention.raw_days)),
        stages=(intake, gatherer, deliverer, acknowledger),
    )


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
            f"the database URL needs the Python package {exc.name!r}; install it: pip install 'lapor-gateway[postgres]'"
        ) from exc
    except OSError as exc:  # the directory or the file of SQLite
        raise Unavailable(
            f"{exc.filename} cannot be made: {exc.strerror}; check owner and permissions of it and its directory"
        ) from exc
    except Exception as exc:
        # Not the URL itself: a password may stand anywhere in it.
        raise Misconfigured(f"the database URL cannot be used ({type(exc).__name__}); see [database] url") from exc
