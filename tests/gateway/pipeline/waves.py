"""A toy channel whose long messages come in parts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from gateway.bootstrap import Gateway
from gateway.domain.events import CitizenMessage, Event, MessagePart
from gateway.domain.ids import new_id
from gateway.ports import ChannelContext, ChannelSettings, Envelope, RawMessage, Receipt, Reply, Response
from gateway.ports.wire import WebhookRequest
from gateway.spool.inbox import Incoming
from tests.gateway.site import Site

CITIZEN, STRANGER = "+6281200000001", "+6281200000002"
REGION = """
code = "74.71"
name = "Kota Kendari"
agency = "Pemerintah Kota Kendari"
[channels.radio]
adapter = "toy.radio"
[channels.other]
adapter = "toy.radio"
"""


class Radio:
    """Parts as JSON: who, which group, which number of how many, and UTF-16 bytes in hexadecimal."""

    Settings: ClassVar[type[ChannelSettings]] = ChannelSettings
    methods: ClassVar[frozenset[str]] = frozenset({"POST"})
    media_types: ClassVar[frozenset[str]] = frozenset({"application/json"})
    own_addresses = ()
    broken: ClassVar[Exception | None] = None  # raised by the next joins
    sent: ClassVar[list[Reply]] = []

    def __init__(self, settings: ChannelSettings, context: ChannelContext) -> None:
        self._context = context

    def verify(self, request: WebhookRequest) -> Envelope:
        part = json.loads(request.body)
        return Envelope(part["id"], part["lane"])

    def accepted(self, request: WebhookRequest) -> Response:
        return Response()

    def translate(self, raw: RawMessage) -> Sequence[Event]:
        fields = raw.json()
        if "group" not in fields:
            return [
                CitizenMessage(
                    external_id=fields.need("id"), sender=fields.need("from"), recipient="r", text=fields.get("text")
                )
            ]
        return [
            MessagePart(
                group=fields.need("group"),
                number=fields.number("number"),
                total=fields.number("total"),
                sender=fields.need("from"),
            )
        ]

    def join(self, parts: Sequence[RawMessage | None]) -> CitizenMessage:
        if self.broken:
            raise self.broken
        there = [raw.json() for raw in parts if raw is not None]
        joined = b"".join(bytes.fromhex(fields.get("hex")) for fields in there)
        return CitizenMessage(
            external_id="the core names it",
            sender=there[0].need("from"),
            recipient="r",
            text=joined.decode("utf-16-be", "replace"),
        )

    def reply(self, reply: Reply) -> Receipt:
        self.sent.append(reply)
        return Receipt(f"radio {reply.id}")

    def find(self, reply: Reply) -> Receipt | None:
        return None

    def parts(self, text: str) -> int:
        return 1


class Waves:
    """Puts messages and parts into a gateway's inbox, as the front door does, and tells what was answered."""

    def __init__(self, site: Site, clock: Callable[[], datetime]) -> None:
        self.site = site
        self.clock = clock
        self._count = 0

    def gateway(self, **files: Any) -> Gateway:
        """Wire a gateway that has the channel."""
        return self.site.gateway(**({"regions": {"74.71-kendari.toml": REGION}} | files))

    def put(self, gateway: Gateway, *, channel: str = "radio", **fields: Any) -> UUID:
        """Store one webhook; a second one of the same id is a repetition."""
        self._count += 1
        given = {"id": f"r{self._count}", "from": CITIZEN} | fields
        given = {"lane": given["from"]} | given
        adapter = gateway.channels["74.71", channel].adapter
        body = json.dumps(given).encode()
        message = Incoming(
            id=new_id(),
            region="74.71",
            channel=channel,
            envelope=adapter.verify(WebhookRequest("POST", "https://x", {}, body)),
            content_type="application/json",
            payload=body,
            received_at=self.clock(),
        )
        gateway.spool.inbox.commit([gateway.spool.inbox.seal(message)])
        return message.id

    def part(
        self, gateway: Gateway, number: int, texts: Sequence[str | bytes], group: str = "7", **fields: Any
    ) -> UUID:
        """Store one part of a message, given all its parts."""
        text = texts[number - 1]
        data = text if isinstance(text, bytes) else text.encode("utf-16-be")
        return self.put(gateway, group=group, number=number, total=len(texts), hex=data.hex(), **fields)

    def say(self, gateway: Gateway, text: str, **fields: Any) -> UUID:
        """Store a message that came whole."""
        return self.put(gateway, text=text, **fields)

    def answers(self, to: str = CITIZEN) -> list[str]:
        """Return what one citizen was sent, in the order of sending."""
        return [reply.text for reply in Radio.sent if reply.to == to]
