"""The errors of the gateway: a closed list.

Each class has an `action` (the consequence), a `blame` (the party that must act) and a `code` for logs and metrics. The
message is for an operator: it names fields and codes, never a citizen's words or number. Any other exception counts as
"unexpected": the row is retried with backoff, and becomes a dead letter when its stage has no attempt or no time left.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Action(StrEnum):
    """The consequence of an error for its message."""

    REFUSE = "refuse"  # answered with an HTTP error, not stored, counted
    RETRY = "retry"  # tried again later, with capped and jittered backoff
    DEAD = "dead"  # kept as a dead letter with the reason, replayable after a fix
    STOP = "stop"  # the program does not start


class Blame(StrEnum):
    """The party that must act before another attempt can succeed."""

    SENDER = "sender"
    PROVIDER = "provider"
    GATEWAY = "gateway"
    CONFIGURATION = "configuration"


class GatewayError(Exception):
    """The base of all errors below; never raised itself."""

    code: ClassVar[str] = "error"
    action: ClassVar[Action] = Action.RETRY
    blame: ClassVar[Blame] = Blame.GATEWAY
    status: ClassVar[int] = 500

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after  # seconds to wait before the next attempt, if they are known

    @property
    def reason(self) -> str:
        """The stored reason of a failed row: `code` or `code: message`."""
        return f"{self.code}: {self.message}" if self.message else self.code


class Refused(GatewayError):
    """The base of the errors with which the front door refuses a request; nothing is stored."""

    action = Action.REFUSE
    blame = Blame.SENDER


class Malformed(Refused):
    """The request does not have the form of this channel's provider."""

    code, status = "malformed", 400


class Unverified(Refused):
    """The request does not carry the provider's valid signature."""

    code, status = "unverified", 403


class UnknownChannel(Refused):
    """No region and channel with this address is configured."""

    code, status = "unknown_channel", 404


class MethodNotAllowed(Refused):
    """This channel does not accept the HTTP method of the request."""

    code, status = "method_not_allowed", 405


class TooLarge(Refused):
    """The request's body is larger than the configured limit."""

    code, status = "too_large", 413


class UnsupportedMediaType(Refused):
    """The content type is not one that this channel's provider sends."""

    code, status = "unsupported_media_type", 415


class ChannelBusy(Refused):
    """This channel already fills its share of the waiting requests."""

    code, status = "channel_busy", 429


class Overloaded(Refused):
    """The message cannot be committed now; the sender should try again."""

    code, status = "overloaded", 503
    blame = Blame.GATEWAY


class Unavailable(GatewayError):
    """The other side (provider, centre or database) cannot be reached or failed; a later attempt may help."""

    code, status = "unavailable", 503
    blame = Blame.PROVIDER


class Throttled(Unavailable):
    """The other side accepts no more requests for now; a later attempt may help."""

    code = "throttled"


class Rejected(GatewayError):
    """The other side (provider, centre or database) refused for good; another attempt would not help."""

    code = "rejected"
    action = Action.DEAD
    blame = Blame.PROVIDER


class Untranslatable(GatewayError):
    """The adapter cannot read a verified message."""

    code = "untranslatable"
    action = Action.DEAD


class Undecryptable(GatewayError):
    """A stored value cannot be decrypted: its key is not in `[encryption] keys`, or the value was changed."""

    code = "undecryptable"
    action = Action.DEAD
    blame = Blame.CONFIGURATION


class ChannelGone(GatewayError):
    """The row belongs to a channel that is no longer configured."""

    code = "channel_gone"
    action = Action.DEAD
    blame = Blame.CONFIGURATION


class Misconfigured(GatewayError):
    """The configuration has faults; `check` lists them all."""

    code = "misconfigured"
    action = Action.STOP
    blame = Blame.CONFIGURATION
