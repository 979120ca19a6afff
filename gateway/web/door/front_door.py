"""The front door: accept webhooks at `/in/<region>/<channel>` (POST or GET), and pass all other paths to Flask.

Webhooks do not go through Flask, because Flask costs ten times as much per message: see docs/performance.md.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from typing import Any
from uuid import UUID

import msgspec

from gateway.domain.channel import ChannelId
from gateway.domain.errors import MethodNotAllowed, Overloaded, Refused, TooLarge, UnknownChannel, UnsupportedMediaType
from gateway.domain.ids import new_id
from gateway.domain.texts import text
from gateway.observe.logs import log
from gateway.observe.metrics import Metrics
from gateway.pipeline.receive import Receiver
from gateway.ports import Channel, Clock, Response, Webhook
from gateway.ports.wire import WebhookRequest, media_type
from gateway.spool.activity import ActivityLog
from gateway.web.door.express import AdmittedRequest, Headers, Respond, readable

# Any: the types of ASGI (asgi.readthedocs.io), which leave the values of a message open.
Message = MutableMapping[str, Any]
Scope = Message
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_PREFIX = "/in/"
_TRY_AGAIN = "the message cannot be stored now; send it again later"
_NO_BODY_WANTED = frozenset({"GET", "HEAD"})


Answer = tuple[int, Headers, bytes]  # status, headers, body


class Disconnected(Exception):
    """The connection ended before the request was complete."""


class FrontDoor:
    """The ASGI application of a process, and the application of its express path."""

    def __init__(
        self,
        channels: Mapping[ChannelId, Channel],
        receiver: Receiver,
        metrics: Metrics,
        activity: ActivityLog,
        clock: Clock,
        pages: Application,
        *,
        public_url: str,
        max_body: int,
        trusted_proxies: Collection[str] = (),
    ) -> None:
        self._receiver = receiver
        self._metrics = metrics
        self._activity = activity
        self._clock = clock
        self._pages = pages
        self._max_body = max_body
        self._proxies = frozenset(trusted_proxies)
        # Per error code and channel: when a refusal was last logged (time.monotonic()), and the number since then.
        self._refusals: dict[tuple[str, str], tuple[float, int]] = {}
        base = public_url.rstrip("/")
        self._doors = {
            f"{_PREFIX}{channel.id}": (channel, f"{base}{_PREFIX}{channel.id}")
            for channel in channels.values()
            if isinstance(channel.adapter, Webhook)
        }
        self._targets = {path.encode(): door for path, door in self._doors.items()}

    # --- the express path: most webhooks ---

    def admit(self, target: bytes, headers: Mapping[str, str], lines: bytes, peer: str) -> AdmittedRequest | None:
        """Return an admitted request if its address, method, type and length are allowed, else `None`."""
        door = self._targets.get(target)
        if door is None:
            return None
        channel, url = door
        length = headers.get("content-length", "")
        if not length.isdigit() or int(length) > self._max_body:
            return None
        if "POST" not in channel.webhook.methods or media_type(headers) not in channel.webhook.media_types:
            return None
        return AdmittedRequest(channel, url, headers, lines, self._client(peer, headers))

    def take(self, admitted: AdmittedRequest, body: bytes, respond: Respond) -> None:
        """Store the message of an admitted request; respond once it is durable, or cannot be."""
        channel = admitted.channel
        request = WebhookRequest("POST", admitted.url, admitted.headers, body, admitted.client, admitted.lines)

        def answer(correlation_id: UUID, response: Response | Refused) -> None:
            if isinstance(response, Refused):
                respond(*self._refusal(response, channel))
            else:
                respond(*_acceptance(response, correlation_id))

        try:
            self._receiver.take(channel, request, answer)
        except Refused as exc:
            respond(*self._refusal(exc, channel))

    def count_disconnected(self) -> None:
        """Count a request whose connection ended before it was complete; no part of it is stored."""
        self._metrics.refused.labels("disconnected").inc()

    # --- the ASGI application: all other requests ---

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope["path"]
        if path.startswith(_PREFIX):
            await self._webhook(path, scope, receive, send)
        elif scope["method"] in _NO_BODY_WANTED:
            await self._pages(scope, receive, send)
        else:
            await _send(send, *self._refusal(MethodNotAllowed(text("only GET and HEAD")), None, allow=b"GET, HEAD"))

    async def _webhook(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        door = self._doors.get(path)
        try:
            if door is None:
                raise UnknownChannel(text("no channel with a webhook is configured at this address"))
            channel, url = door
            method, methods = scope["method"], channel.webhook.methods
            if method not in methods:
                raise MethodNotAllowed(
                    text("this channel's webhooks are sent with {methods}", methods=", ".join(sorted(methods)))
                )
            headers = readable(scope["headers"])
            if scope["query_string"]:
                url = f"{url}?{scope['query_string'].decode('latin-1')}"
            if method == "POST" and media_type(headers) not in channel.webhook.media_types:
                raise UnsupportedMediaType(text("send {types}", types=", ".join(sorted(channel.webhook.media_types))))
            body = await self._body(headers, receive)
            request = WebhookRequest(method, url, headers, body, self._client((scope["client"] or ("",))[0], headers))
            correlation_id, response = await self._receiver.webhook(channel, request)
        except Disconnected:
            self.count_disconnected()
        except Refused as exc:
            allow = ", ".join(sorted(door[0].webhook.methods)).encode() if door else b"POST"
            await _send(send, *self._refusal(exc, door[0] if door else None, allow=allow))
        else:
            await _send(send, *_acceptance(response, correlation_id))

    async def _body(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        """Return the body; raises `TooLarge`, or `Disconnected` if the connection ends first.

        The header gives the length: `limits` refuses bodies in chunks.
        """
        if int(headers.get("content-length", "0")) > self._max_body:
            raise TooLarge(text("at most {most} bytes", most=self._max_body))
        parts: list[bytes] = []
        more = True
        while more:
            message = await receive()  # `limits` ends a connection that is too slow
            if message["type"] == "http.disconnect":
                raise Disconnected
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
        return b"".join(parts)

    def _client(self, peer: str, headers: Mapping[str, str]) -> str:
        """Return the client's address: the right-most X-Forwarded-For entry that is not one of our trusted proxies."""
        if peer not in self._proxies:
            return peer
        for address in reversed(headers.get("x-forwarded-for", "").split(",")):
            if (address := address.strip()) and address not in self._proxies:
                return address
        return peer

    # --- answers ---

    def _refusal(self, error: Refused, channel: Channel | None, *, allow: bytes = b"POST") -> Answer:
        """Count and log a refusal, and return its answer."""
        correlation_id = new_id()
        self._note_refusal(error, correlation_id, channel)
        # The cause of an outage names our servers: the log and the status page have it, the provider does not.
        message = _TRY_AGAIN if isinstance(error, Overloaded) else str(error.message)
        content = {"error": error.code, "message": message, "correlation_id": correlation_id.hex}
        body = msgspec.json.encode(content)
        # Close the connection: the unread rest of the body must not be read as the next request.
        headers = [*_headers(b"application/json", body, correlation_id), (b"connection", b"close")]
        if error.status == MethodNotAllowed.status:
            headers.append((b"allow", allow))
        if error.retry_after is not None:
            headers.append((b"retry-after", str(int(error.retry_after)).encode()))
        return error.status, headers, body

    def _note_refusal(self, error: Refused, correlation_id: UUID, channel: Channel | None) -> None:
        """Count every refusal; log one per second, code and channel: a flood of bad requests must not fill the disk."""
        self._metrics.refused.labels(error.code).inc()
        if channel is not None:
            self._activity.note(channel.region, channel.name, "refused", self._clock(), error.reason)
        kind = (error.code, str(channel.id) if channel else "")
        logged_at, unlogged = self._refusals.get(kind, (0.0, 0))
        now = time.monotonic()
        if now - logged_at < 1:
            self._refusals[kind] = (logged_at, unlogged + 1)
            return
        self._refusals[kind] = (now, 0)
        log.warning(
            "refused",
            correlation_id=correlation_id.hex,
            count=unlogged + 1,
            code=error.code,
            status=error.status,
            region=channel.region if channel else None,
            channel=channel.name if channel else None,
            reason=error.message,
        )


def _acceptance(response: Response, correlation_id: UUID) -> Answer:
    return response.status, _headers(response.content_type.encode(), response.body, correlation_id), response.body


def _headers(content_type: bytes, body: bytes, correlation_id: UUID) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"x-correlation-id", correlation_id.hex.encode()),
    ]


async def _send(send: Send, status: int, headers: Headers, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
