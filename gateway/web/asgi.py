"""The front door. It knows one thing, `POST /in/<region>/<channel>`; all other paths go to Flask behind it.

It is kept apart from Flask because a complaint is accepted here at a tenth of the cost: see docs/performance.md.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from uuid import UUID

import msgspec

from gateway.errors import (
    GatewayError,
    MethodNotAllowed,
    Refused,
    TooLarge,
    UnknownChannel,
    UnsupportedMediaType,
)
from gateway.ids import new_id
from gateway.observe import Metrics, log
from gateway.pipeline.receive import Receiver
from gateway.ports import Channel, Clock, Webhook, WebhookRequest, media_type
from gateway.recent import Recent

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_PREFIX = "/in/"
_NO_BODY_WANTED = frozenset({"GET", "HEAD"})
_DROPPED = frozenset({b"authorization", b"cookie", b"proxy-authorization"})  # credentials are not kept with a message


class Disconnected(Exception):
    """The client went away before its request was complete."""


class FrontDoor:
    """The ASGI application of the process."""

    def __init__(
        self,
        channels: Mapping[tuple[str, str], Channel],
        receiver: Receiver,
        metrics: Metrics,
        recent: Recent,
        clock: Clock,
        behind: Application,
        *,
        public_url: str,
        max_body: int,
    ) -> None:
        self._receiver, self._metrics, self._recent, self._clock = receiver, metrics, recent, clock
        self._behind, self._max_body = behind, max_body
        self._refusals: dict[tuple[str, str], tuple[float, int]] = {}  # when last logged, how many since
        base = public_url.rstrip("/")
        self._doors = {
            f"{_PREFIX}{channel.address}": (channel, f"{base}{_PREFIX}{channel.address}")
            for channel in channels.values()
            if isinstance(channel.adapter, Webhook)
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope["path"]
        if path.startswith(_PREFIX):
            await self._webhook(path, scope, receive, send)
        elif scope["method"] in _NO_BODY_WANTED:
            await self._behind(scope, receive, send)
        else:
            await _refuse(send, MethodNotAllowed("only GET and HEAD"), new_id(), allow=b"GET, HEAD")

    async def _webhook(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        door = self._doors.get(path)
        try:
            if door is None:
                raise UnknownChannel("no channel with a webhook is configured at this address")
            channel, url = door
            if scope["method"] != "POST":
                raise MethodNotAllowed("webhooks are sent with POST")
            query: bytes = scope["query_string"]
            headers = {
                name.decode("latin-1"): value.decode("latin-1")
                for name, value in scope["headers"]
                if name not in _DROPPED
            }
            if query:
                url = f"{url}?{query.decode('latin-1')}"
            if media_type(headers) not in channel.adapter.media_types:
                raise UnsupportedMediaType(f"send {' or '.join(sorted(channel.adapter.media_types))}")
            request = WebhookRequest("POST", url, headers, await self._body(headers, receive))
            correlation_id, response = await self._receiver.webhook(channel, request)
        except Disconnected:
            self._metrics.refused.labels("disconnected").inc()
        except Refused as exc:
            correlation_id = new_id()
            self._note_refusal(exc, correlation_id, door[0] if door else None)
            await _refuse(send, exc, correlation_id, allow=b"POST")
        else:
            await _answer(send, response.status, response.content_type.encode(), response.body, correlation_id)

    async def _body(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        """Read the body, no more than allowed."""
        announced = headers.get("content-length", "0")
        if not announced.isdigit() or int(announced) > self._max_body:
            raise TooLarge(f"at most {self._max_body} bytes")
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()  # how long this may take is watched by the protocol, see `limits`
            if message["type"] == "http.disconnect":
                raise Disconnected
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._max_body:
                raise TooLarge(f"at most {self._max_body} bytes")
            more = message.get("more_body", False)
        return b"".join(parts)

    def _note_refusal(self, error: Refused, correlation_id: UUID, channel: Channel | None) -> None:
        """Count every refusal, and log one a second of each kind: whoever floods us must not fill the disk too."""
        self._metrics.refused.labels(error.code).inc()
        if channel is not None:
            self._recent.note(channel.region, channel.name, "refused", self._clock(), error.reason)
        kind = (error.code, channel.address if channel else "")
        since, unsaid = self._refusals.get(kind, (0.0, 0))
        now = time.monotonic()
        if now - since < 1:
            self._refusals[kind] = (since, unsaid + 1)
            return
        self._refusals[kind] = (now, 0)
        log.warning(
            "refused",
            correlation_id=correlation_id.hex,
            count=unsaid + 1,
            code=error.code,
            status=error.status,
            region=channel.region if channel else None,
            channel=channel.name if channel else None,
            reason=error.message,
        )


async def _refuse(send: Send, error: GatewayError, correlation_id: UUID, *, allow: bytes) -> None:
    body = msgspec.json.encode({"error": error.code, "message": error.message, "correlation_id": correlation_id.hex})
    # What was not read of the body must not be taken for the next request.
    more = [(b"connection", b"close")]
    if error.status == MethodNotAllowed.status:
        more.append((b"allow", allow))
    if error.retry_after is not None:
        more.append((b"retry-after", str(int(error.retry_after)).encode()))
    await _answer(send, error.status, b"application/json", body, correlation_id, more)


async def _answer(
    send: Send,
    status: int,
    content_type: bytes,
    body: bytes,
    correlation_id: UUID,
    more: list[tuple[bytes, bytes]] | None = None,
) -> None:
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"x-correlation-id", correlation_id.hex.encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers + (more or [])})
    await send({"type": "http.response.body", "body": body})
