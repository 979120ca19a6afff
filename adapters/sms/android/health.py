"""Judge the state of the phone, by its own checks or by the time when its server last saw it.

Sources: https://docs.sms-gate.app/features/health/ (checks, and their limits), https://docs.sms-gate.app/features/ping/.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import reduce

import msgspec

from adapters.sms.android.payloads import decode, moment, rows_of
from gateway.domain.errors import Unavailable
from gateway.domain.events import Notice
from gateway.domain.texts import text

# For each check of the app: the statuses that are a fault, and the text for the administrator.
_WARN, _FAIL = frozenset({"warn", "fail"}), frozenset({"fail"})
CHECKS = {
    "battery:level": (_WARN, text("the phone's battery is low, connect the charger")),
    "connection:status": (_FAIL, text("the phone has no internet connection")),
    # "warn" is one failed SMS: a wrong number is enough for that.
    "messages:failed": (_FAIL, text("all outgoing SMS fail, check credit and signal")),
}
_READY = text("the phone is ready")

# Older apps have no list of received SMS, or list one SMS twice with different times (their pull request 393), which
# would make two complaints.
LISTS_SINCE = (1, 67)


class _Check(msgspec.Struct):
    status: str = "pass"


class _Health(msgspec.Struct):
    status: str
    version: str = ""
    checks: dict[str, _Check] = {}


class _Ping(msgspec.Struct):
    health: _Health | None = None  # older apps send no report


class Device(msgspec.Struct, rename="camel"):
    """A phone in the server's list."""

    id: str
    last_seen: str
    deleted_at: str | None = None


def keeps_a_list(body: bytes) -> bool:
    """Return whether the app's list of received SMS can be trusted, by the version in its answer to `GET /health`."""
    version = re.match(r"(\d{1,4})\.(\d{1,4})", decode(body, _Health).version)
    return version is not None and (int(version[1]), int(version[2])) >= LISTS_SINCE


def longest_unseen(listed: bytes, device_id: str | None) -> bytes:
    """Return the JSON of the phone that was seen least recently, among ours: a reply may go through any of them.

    Raises `Unavailable` if the account has none, `Untranslatable` if the list cannot be read.
    """
    devices = [
        (moment(device.last_seen), raw)
        for device, raw in rows_of(listed, Device)
        if not device.deleted_at and device_id in (None, device.id)
    ]
    if not devices:
        raise Unavailable(text("the account has no such phone: register the app again, or correct device_id"))
    return min(devices)[1]


def ping_notice(payload: bytes) -> Notice:
    """Return the state of the phone from its ping; raises `Untranslatable`."""
    return _notice(decode(payload, _Ping).health or _Health("pass"))


def health_notice(body: bytes) -> Notice:
    """Return the state of the phone from its answer to `GET /health`; raises `Untranslatable`."""
    return _notice(decode(body, _Health))


def _notice(health: _Health) -> Notice:
    faults = [
        fault for name, (bad, fault) in CHECKS.items() if name in health.checks and health.checks[name].status in bad
    ]
    if health.status == "fail" and not faults:
        faults = [text("the app on the phone reports a trouble")]
    notice = reduce(
        lambda first, second: text("{first}; also: {second}", first=first, second=second), faults or [_READY]
    )
    return Notice(well=not faults, text=str(notice))


def device_notice(device: bytes, at: datetime, patience: float) -> Notice:
    """Return the state of the phone: off if unseen by its server for `patience` seconds; raises `Untranslatable`."""
    seen = moment(decode(device, Device).last_seen)
    if at - seen <= timedelta(seconds=patience):
        return Notice(well=True, text=str(_READY))
    unseen = text("the phone has not been seen by its server since {moment} UTC", moment=f"{seen:%Y-%m-%d %H:%M}")
    return Notice(well=False, text=str(unseen))
