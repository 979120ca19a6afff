"""Make the parts of one gateway from its settings, one method per group of stages."""

from __future__ import annotations

from datetime import timedelta

from gateway.central.sql import SqlCentralStore
from gateway.domain.channel import ChannelId
from gateway.domain.errors import Misconfigured, Unavailable
from gateway.domain.texts import text
from gateway.observe.metrics import Metrics
from gateway.pipeline.acknowledge import Acknowledger
from gateway.pipeline.casework import Casework
from gateway.pipeline.commit import Committer, GroupCommit
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
from gateway.pipeline.tally import Tally
from gateway.ports import Channel, Clock, Replier
from gateway.ports.registry import Registry
from gateway.runtime.lines import Lines
from gateway.settings.files import Settings
from gateway.spool import Spool
from gateway.spool.activity import ActivityLog
from gateway.spool.queue import Queue
from gateway.spool.rows import InboxRow, OutboxRow
from gateway.storage.crypto import Keyring, parse_key
from gateway.storage.database import Database


class Wiring:
    """The parts of one gateway. A part that several others use is an attribute, made once."""

    def __init__(self, settings: Settings, registry: Registry, clock: Clock) -> None:
        file = settings.gateway
        self.file = file
        self.work = file.work
        self.database = open_database(settings.database_url(), file.database.pool)
        self.central_database = self.database
        if settings.central_url() != settings.database_url():
            self.central_database = open_database(settings.central_url(), file.database.pool)
        keyring = make_keyring(settings)
        self.metrics = Metrics()
        self.spool = Spool(self.database, keyring, clock)
        self.central = SqlCentralStore(self.central_database, keyring, clock)
        self.channels = make_channels(settings, registry)
        self.activity = ActivityLog(self.spool.activity)
        self.region_names = {region.file.code: region.file.name for region in settings.regions}
        self.replies = Replies(file.templates, self.region_names)
        self.composer = Composer(file, [region.file for region in settings.regions], file.templates)
        self.handover = Handover()
        self.lease = timedelta(seconds=self.work.lease)
        window = timedelta(seconds=file.conversation.window)
        self.casework = Casework(self.spool, self.handover, window=window, lease=self.lease)
        parts_wait = timedelta(seconds=file.conversation.parts_wait)
        self.joining = Joining(self.spool, self.channels, self.composer, file.templates, parts_wait)

    def receiving(self) -> tuple[Receiver, Committer, GroupCommit]:
        """Make the parts that receive webhooks, polls and messages of held connections."""
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
        # An outage of the centre may last for days, so `Unavailable` is retried without limit. A refusal (`Rejected`)
        # is never retried.
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


def make_channels(settings: Settings, registry: Registry) -> dict[ChannelId, Channel]:
    """Return the configured channels with their adapters, by id. Raises `Misconfigured` if a package is missing."""
    adapters = [
        (config, registry.adapter(config.adapter_key)(config.settings, config.context)) for config in settings.channels
    ]
    # The numbers of all channels, because two of our own numbers must never answer each other.
    own_addresses = frozenset(
        address for _, adapter in adapters if isinstance(adapter, Replier) for address in adapter.own_addresses
    )
    channels = {}
    for config, adapter in adapters:
        answers = isinstance(adapter, Replier)
        channels[ChannelId(config.region, config.name)] = Channel(
            region=config.region,
            name=config.name,
            adapter_key=config.adapter_key,
            adapter=adapter,
            own_addresses=own_addresses,
            replies=config.replies and answers,
        )
    return channels


def open_database(url: str, pool: int) -> Database:
    """Return a database; opens no connection. Raises `Misconfigured` or `Unavailable`."""
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
        # Without the URL: a password may be anywhere in it.
        raise Misconfigured(
            text("the database URL cannot be used ({error}); see [database] url", error=type(exc).__name__)
        ) from exc
