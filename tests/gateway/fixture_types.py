"""The types of the shared fixtures that are functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar
from uuid import UUID

import sqlalchemy as sa

from gateway.bootstrap import Gateway
from gateway.ports.wire import WebhookRequest
from gateway.settings.faults import Fault
from gateway.spool.inbox import Incoming

AnswerT = TypeVar("AnswerT")

Drain = Callable[[Gateway], None]
Refuse = Callable[[str, str], None]


class Rows(Protocol):
    """Read the rows of a table."""

    def __call__(self, table: sa.Table, *where: sa.ColumnElement[bool]) -> list[dict[str, Any]]: ...  # of any column


class MakeRequest(Protocol):
    """Build the signed webhook of an SMS."""

    def __call__(self, text: str, sid: str, sender: str = ..., **changes: str) -> WebhookRequest: ...


class Receive(Protocol):
    """Put a signed SMS into the inbox of a gateway, and return the row's id."""

    def __call__(self, gateway: Gateway, text: str, sid: str, sender: str = ..., channel: str = ...) -> UUID: ...


class MakeIncoming(Protocol):
    """Make a message that came in."""

    def __call__(self, key: str = ..., **changes: Any) -> Incoming: ...  # any field of Incoming


class Eventually(Protocol):
    """Ask a question until its answer is true, and return the answer."""

    def __call__(self, question: Callable[[], AnswerT], timeout: float = ...) -> AnswerT: ...


class FindFaults(Protocol):
    """Write a configuration with changes, and return its faults."""

    def __call__(
        self, *, replace: tuple[str, str] = ..., **files: Any
    ) -> list[Fault]: ...  # the arguments of Site.write
