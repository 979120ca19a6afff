"""Define the messages of the simulated phone, and write its events in the app's form.

Sources, under https://docs.sms-gate.app/features: webhooks/ (events), mms/, health/, status-tracking/.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TypedDict
from uuid import uuid4
from zlib import crc32

_WIB = timezone(timedelta(hours=7))  # a phone writes times in its zone
_BATTERY_WARN, _BATTERY_FAIL = 25, 10  # percent


@dataclass(frozen=True, slots=True)
class Incoming:
    """An SMS or MMS from a citizen."""

    id: str  # of the event
    from_: str
    to: str
    body: str
    received_at: datetime
    media: Sequence[tuple[str, bytes]] = ()

    @property
    def message_id(self) -> str:
        """Return the app's hash of the message."""
        return f"{crc32(f'{self.from_}{self.received_at}{self.body}'.encode()):08x}"


class _Text(TypedDict):
    text: str


class SendRequest(TypedDict, total=False):
    """The JSON of `POST /messages`; its fields may be missing or have other types, because it comes from outside."""

    id: str
    phoneNumbers: list[str]
    textMessage: _Text
    withDeliveryReport: bool


@dataclass(slots=True)
class Outgoing:
    """A message of the gateway."""

    id: str
    from_: str
    to: str
    body: str
    report: bool
    state: str = "Pending"
    states: dict[str, str] = field(default_factory=dict)
    error: str | None = None

    def resource(self, device_id: str) -> dict[str, object]:
        """Return the message in the API's form."""
        return {
            "id": self.id,
            "deviceId": device_id,
            "state": self.state,
            "isHashed": False,
            "isEncrypted": False,
            "recipients": [{"phoneNumber": self.to, "state": self.state, "error": self.error}],
            "states": dict(self.states),
        }


def stamp(moment: datetime) -> str:
    """Return a time in the app's form."""
    return moment.astimezone(_WIB).isoformat(timespec="milliseconds")


def received_payload(message: Incoming, *, old: bool = False) -> dict[str, object]:
    """Return the payload of `sms:received`; `old`: the form before 2026, with the sender only as `phoneNumber`."""
    names = {"phoneNumber": message.from_} if old else {"sender": message.from_, "recipient": message.to}
    received_at = stamp(message.received_at)
    return {
        "messageId": message.message_id,
        "message": message.body,
        **names,
        "simNumber": 1,
        "receivedAt": received_at,
    }


def mms_payload(message: Incoming) -> dict[str, object]:
    """Return the payload of `mms:downloaded`, with the pictures in base64."""
    return {
        "messageId": "17",
        "sender": message.from_,
        "recipient": message.to,
        "simNumber": 1,
        **({"body": message.body} if message.body else {}),  # the app leaves empty fields out
        "attachments": [
            {"partId": n, "contentType": kind, "name": f"{n}.bin", "size": len(data), "data": b64encode(data).decode()}
            for n, (kind, data) in enumerate(message.media, start=1)
        ],
        "receivedAt": stamp(message.received_at),
    }


def health(battery: int, failed: bool = False, version: str = "1.70.0") -> dict[str, object]:
    """Return the app's health report; its status is that of the worst check. `battery` is in percent."""
    level = "pass"
    if battery < _BATTERY_WARN:
        level = "fail" if battery < _BATTERY_FAIL else "warn"
    sending = "fail" if failed else "pass"
    checks = {
        "messages:failed": {"observedUnit": "messages", "observedValue": int(failed), "status": sending},
        "connection:status": {"observedUnit": "boolean", "observedValue": 1, "status": "pass"},
        "battery:level": {"observedUnit": "percent", "observedValue": battery, "status": level},
    }
    worst = next(word for word in ("fail", "warn", "pass") if word in (level, sending, "pass"))
    return {"status": worst, "version": version, "releaseId": 1, "checks": checks}


def event_body(event: str, payload: Mapping[str, object], device_id: str, *, id: str | None = None) -> bytes:
    """Return the body of an event's webhook."""
    return json.dumps(
        {"deviceId": device_id, "event": event, "id": id or uuid4().hex[:21], "payload": payload, "webhookId": "w1"},
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()
