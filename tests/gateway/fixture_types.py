"""The types of the fixtures that are functions: what a test passes to them, and what it gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias
from uuid import UUID

from gateway.bootstrap import Gateway
from gateway.ports.wire import WebhookRequest
from gateway.settings.faults import Fault
from gateway.spool.inbox import Incoming

# `rows(table, *conditions)`: the rows of a table as dicts, ordered by the first column. Any: of the column's type.
Rows: TypeAlias = Callable[..., list[dict[str, Any]]]
# `receive(gateway, text, sid, sender, channel)`: the id of the inbox row.
Receive: TypeAlias = Callable[..., UUID]
# `drain(gateway)`: run all stages until none has work that is due.
Drain: TypeAlias = Callable[[Gateway], None]
# `incoming(key, sender, **fields)`: a message that is to be stored.
MakeIncoming: TypeAlias = Callable[..., Incoming]
# `refuse(table, condition)`: let the database refuse such rows.
Refuse: TypeAlias = Callable[[str, str], None]
# `eventually(question, timeout)`: the first true answer. Any: of the question's type.
Eventually: TypeAlias = Callable[..., Any]
# `sms_request(text, sid, sender, **fields)`: the signed webhook of an SMS.
SmsRequest: TypeAlias = Callable[..., WebhookRequest]
# `faults(replace=…, **files)`: the faults of a configuration.
FindFaults: TypeAlias = Callable[..., list[Fault]]
