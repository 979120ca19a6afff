"""Answer the API calls to the simulated phone, or to its server, and list its failures.

Sources: https://docs.sms-gate.app/integration/api/, https://api.sms-gate.app/docs/ (OpenAPI), and for the phone's own
list of received SMS the app's source, github.com/capcom6/android-sms-gateway (localserver/routes/InboxRoutes.kt).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import parse_qsl
from uuid import uuid4

from adapters.sms.android.simulator.events import Incoming, Outgoing, SendRequest, stamp
from gateway.simulation.caller import Sent
from gateway.simulation.server import Answer

FAILURES = {
    "throttle": Answer(429, {"message": "Too Many Requests"}, {"Retry-After": "1"}),
    "server_error": Answer(500, {"message": "Internal Server Error"}),
    "unauthorized": Answer(401, {"message": "Unauthorized"}, {"WWW-Authenticate": 'Basic realm="SMSGate"'}),
    "reject:phone": Answer(400, {"message": "failed to use phone in row 1: invalid phone number"}),
    "reject:device": Answer(400, {"message": "No devices registered"}),
    "queue_full": Answer(503, {"message": "queue limits exceeded: too old pending message"}, {"Retry-After": "60"}),
    "redirect": Answer(302, {"message": "moved"}, {"Location": "/elsewhere"}),
    "not_json": Answer(200, b"<html>"),
}
NOT_FOUND = Answer(404, {"message": "Not Found"})
DEFAULT_PAGE, LONGEST_PAGE = 50, 500


class Phone(Protocol):
    """The phone, as the API uses it; `FakePhone` implements it."""

    local: bool
    old: bool
    device_id: str
    last_seen: datetime

    @property
    def reachable(self) -> bool:
        """Return whether the phone has a network."""

    def accept(self, message: SendRequest) -> Outgoing | None:
        """Take a message to send; return `None` if its id is known."""

    def refresh(self) -> None:
        """Add the SMS that the app has missed to its list."""

    def health(self) -> Mapping[str, object]:
        """Return the health report."""

    def messages(self, *, seen: bool) -> list[Incoming]:
        """Return the received messages; `seen`: without those that the app has missed."""

    def replies(self, to: str | None = None) -> list[Outgoing]:
        """Return the messages of the gateway; optionally to one number."""

    def call(self, message: Incoming) -> Sent:
        """Send the webhook of a message again."""


class Api:
    """The API of one phone."""

    def __init__(self, phone: Phone) -> None:
        self._phone = phone
        self._webhooks: list[Mapping[str, object]] = []

    def answer(self, method: str, place: str, query: str, body: bytes) -> Answer:
        """Answer one call with a valid login; `place` is the path without the API's prefix."""
        try:
            return self._post(place, body) if method == "POST" else self._get(place, dict(parse_qsl(query)))
        except (KeyError, TypeError, ValueError) as exc:
            return Answer(400, {"message": f"{type(exc).__name__}: {exc}"})

    def _get(self, place: str, query: dict[str, str]) -> Answer:
        phone = self._phone
        if place.startswith("/messages/"):
            messages = [message for message in phone.replies() if message.id == place.removeprefix("/messages/")]
            return Answer(200, messages[0].resource(phone.device_id)) if messages else NOT_FOUND
        if place == "/messages":
            return _listed(message.resource(phone.device_id) for message in phone.replies())
        if place == "/health":
            health: Mapping[str, object] = {"status": "pass", "version": "1", "releaseId": 1, "checks": {}}
            if phone.local:
                health = phone.health()
            return Answer(500 if health["status"] == "fail" else 200, health)
        if place in ("/devices", "/device"):
            seen = (datetime.now(UTC) if phone.reachable else phone.last_seen).isoformat()
            return _listed([{"id": phone.device_id, "name": "Samsung/a15", "createdAt": seen, "lastSeen": seen}])
        if place == "/webhooks":
            return _listed(self._webhooks)
        if place == "/inbox":
            return self._inbox(query)
        return NOT_FOUND

    def _inbox(self, query: dict[str, str]) -> Answer:
        if self._phone.old:
            return NOT_FOUND
        if not self._phone.local:
            return Answer(501, {"message": "Inbox API is not implemented yet"})
        limit, offset = int(query.get("limit", DEFAULT_PAGE)), int(query.get("offset", 0))
        if not 1 <= limit <= LONGEST_PAGE:
            raise ValueError("limit must be between 1 and 500")
        since, until = (datetime.fromisoformat(query[name]) for name in ("from", "to"))
        rows = [m for m in self._phone.messages(seen=True) if since <= m.received_at <= until and not m.media]
        rows.sort(key=lambda message: message.received_at, reverse=True)
        return _listed(
            {
                "id": f"text:{message.message_id}",
                "type": "SMS",
                "sender": message.from_,
                "recipient": message.to,
                "simNumber": 1,
                "contentPreview": message.body,
                "createdAt": stamp(message.received_at),
            }
            for message in rows[offset : offset + limit]
        )

    def _post(self, place: str, body: bytes) -> Answer:
        request = json.loads(body)
        if place == "/messages":
            if request.get("deviceId") not in (None, self._phone.device_id):
                return Answer(400, {"message": "Invalid device ID"})
            taken = self._phone.accept(request)
            known = Answer(409, {"message": "duplicate id"})
            return Answer(202, taken.resource(self._phone.device_id)) if taken else known
        if place == "/webhooks":
            hook = {**request, "id": request.get("id") or uuid4().hex[:21]}
            self._webhooks.append(hook)
            return Answer(201, hook)
        if place in ("/inbox/refresh", "/messages/inbox/export"):
            if self._phone.old and place == "/inbox/refresh":
                return NOT_FOUND
            since, until = (datetime.fromisoformat(request[name]) for name in ("since", "until"))
            self._phone.refresh()
            if place == "/messages/inbox/export":
                for message in self._phone.messages(seen=True):
                    if since <= message.received_at <= until:
                        self._phone.call(message)
            return Answer(202)
        return NOT_FOUND


def _listed(rows: Iterable[Mapping[str, object]]) -> Answer:
    return Answer(200, json.dumps(list(rows)).encode())
