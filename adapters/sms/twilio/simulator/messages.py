"""Keep the messages of the simulated Twilio: Message resources, their media, their lists, and a journal.

Sources, under https://www.twilio.com/docs: messaging/api/message-resource, messaging/api/media-resource,
usage/twilios-response (paging).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import urlencode

from gateway.simulation.segments import segments

VERSION = "2010-04-01"

# The paging fields of a list that is always one page.
_ONE_PAGE = {"start": 0, "page": 0, "next_page_uri": None, "previous_page_uri": None, "page_size": 50}


@dataclass(slots=True)
class Message:
    """A message; times are UTC."""

    sid: str
    direction: str  # "inbound" or "outbound-api"
    from_: str
    to: str
    body: str
    status: str
    date_created: datetime
    date_sent: datetime | None
    media: dict[str, tuple[str, bytes]] = field(default_factory=dict)  # media sid -> content type, content
    status_callback: str | None = None
    error_code: int | None = None


class MessageBook:
    """The messages of one account, in memory."""

    def __init__(self, account_sid: str, journal: Path | None, *, whole_days: bool) -> None:
        self.place = f"/{VERSION}/Accounts/{account_sid}/Messages"
        self._whole_days = whole_days
        self._account_sid = account_sid
        self._journal = journal
        self._lock = threading.Lock()
        self._messages: dict[str, Message] = {}

    def add(self, message: Message) -> None:
        """Write a message to the journal, then keep it."""
        self.note(message.direction, self.resource(message))
        with self._lock:
            self._messages[message.sid] = message

    def get(self, sid: str) -> Message | None:
        """Return a message, or `None` if there is none with this sid."""
        return self._messages.get(sid)

    def every(self) -> list[Message]:
        """Return all messages, the oldest first."""
        with self._lock:
            return list(self._messages.values())

    def note(self, event: str, details: dict[str, object]) -> None:
        """Write one line to the journal, if there is one; unbuffered: a killed process leaves only whole lines."""
        if self._journal is not None:
            line = json.dumps({"at": time.time(), "event": event, **details}).encode() + b"\n"
            with self._lock, self._journal.open("ab", buffering=0) as file:
                file.write(line)

    def read(self, rest: str) -> tuple[dict[str, object] | bytes | None, str]:
        """Return body and content type of `SID.json`, `SID/Media.json` or `SID/Media/ME...`; body `None` otherwise."""
        sid, _, part = rest.removesuffix(".json").partition("/")
        message = self.get(sid)
        if message is None:
            return None, ""
        if part in ("", "Media"):
            return self.media_page(message) if part else self.resource(message), "application/json"
        kind, content = message.media.get(part.removeprefix("Media/"), ("", None))
        return content, kind

    def uri(self, message: Message) -> str:
        """Return the message's path without its suffix."""
        return f"{self.place}/{message.sid}"

    def resource(self, message: Message, status: str | None = None) -> dict[str, object]:
        """Return the Message resource; `status` replaces the present one."""
        uri = self.uri(message)
        return {
            "account_sid": self._account_sid,
            "api_version": VERSION,
            "body": message.body,
            "date_created": _rfc2822(message.date_created),
            "date_sent": _rfc2822(message.date_sent),
            "date_updated": _rfc2822(message.date_sent or message.date_created),
            "direction": message.direction,
            "error_code": message.error_code,
            "error_message": None,
            "from": message.from_,
            "messaging_service_sid": None,
            "num_media": str(len(message.media)),
            "num_segments": str(segments(message.body)),
            "price": None,
            "price_unit": "USD",
            "sid": message.sid,
            "status": status or message.status,
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": message.to,
            "uri": f"{uri}.json",
        }

    def media_page(self, message: Message) -> dict[str, object]:
        """Return the list of a message's media."""
        date, uri = _rfc2822(message.date_created), self.uri(message)
        rows = [
            {
                "sid": sid,
                "account_sid": self._account_sid,
                "parent_sid": message.sid,
                "content_type": content_type,
                "date_created": date,
                "date_updated": date,
                "uri": f"{uri}/Media/{sid}.json",
            }
            for sid, (content_type, _) in message.media.items()
        ]
        return {"media_list": rows, "end": len(rows) - 1, "uri": f"{uri}/Media.json", **_ONE_PAGE}

    def page(self, query: dict[str, str]) -> dict[str, object]:
        """Return one page of the list, the newest first, filtered by To, From and the DateSent limits."""
        path = f"{self.place}.json"
        size = min(max(int(query.get("PageSize") or 50), 1), 1000)
        rows = [m for m in self.every() if self._matches(m, query)]
        rows.sort(key=lambda m: m.date_sent or m.date_created, reverse=True)
        token = query.get("PageToken", "").removeprefix("PA")
        start = next((number for number, m in enumerate(rows) if m.sid == token), 0)
        page, number, following = rows[start : start + size], int(query.get("Page") or 0), None
        if start + size < len(rows):
            more = {**query, "PageSize": size, "Page": number + 1, "PageToken": "PA" + rows[start + size].sid}
            following = f"{path}?{urlencode(more)}"
        return {
            "messages": [self.resource(m) for m in page],
            "end": start + len(page) - 1,
            "start": start,
            "page": number,
            "page_size": size,
            "uri": f"{path}?{urlencode(query)}",
            "first_page_uri": f"{path}?PageSize={size}&Page=0",
            "previous_page_uri": None,
            "next_page_uri": following,
        }

    def _matches(self, message: Message, query: dict[str, str]) -> bool:
        if query.get("To", message.to) != message.to or query.get("From", message.from_) != message.from_:
            return False
        limits = [(name, value) for name, value in query.items() if name.startswith("DateSent")]
        if message.date_sent is None:
            return not limits
        sent = message.date_sent.replace(microsecond=0)
        for name, value in limits:
            whole_day = self._whole_days or "T" not in value
            begin = datetime.fromisoformat(value[:10] if whole_day else value).replace(tzinfo=UTC)
            end = begin + (timedelta(days=1) if whole_day else timedelta(seconds=1))
            # "DateSent>=x" arrives as the name "DateSent>": both limits include their own date.
            if (name != "DateSent<" and sent < begin) or (name != "DateSent>" and sent >= end):
                return False
        return True


def refusal(form: Mapping[str, str], sender: str) -> int:
    """Return Twilio's error code for a wrong request to send, or 0."""
    to, from_, text = form.get("To", ""), form.get("From", ""), form.get("Body", "")
    faults = {
        21604: not to,
        21211: not to.lstrip("+").isdigit(),
        21603: not from_,
        21606: from_ != sender,
        21602: not text,
        21617: len(text) > 1600,
    }
    return next((code for code, faulty in faults.items() if faulty), 0)


def _rfc2822(moment: datetime | None) -> str | None:
    return format_datetime(moment.astimezone(UTC).replace(microsecond=0)) if moment else None
