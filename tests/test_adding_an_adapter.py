"""A new channel needs no change of the core: a toy adapter is registered, configured, and works from end to end.

It is everything an adapter may be: called by its provider, asked by the clock, and able to answer.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa

from adapters import BUILTIN
from gateway.bootstrap import Gateway, build
from gateway.central.tables import complaints
from gateway.domain.errors import Untranslatable, Unverified
from gateway.domain.events import CitizenMessage, Event, Ignored
from gateway.ports import (
    HTTP,
    JSON,
    Batch,
    ChannelContext,
    ChannelSettings,
    Envelope,
    FetchedMessage,
    Poller,
    RawMessage,
    Receipt,
    Replier,
    Reply,
    Response,
    Secret,
    Translator,
    Webhook,
    recognise,
)
from gateway.ports.registry import Registry, Spec
from gateway.ports.wire import WebhookRequest
from gateway.settings.faults import Faults
from gateway.settings.reader import load
from gateway.settings.schema import schemas


class PigeonSettings(ChannelSettings):
    """The keys of `[channels.<name>]` with `adapter = "pigeon.post"`."""

    secret: Secret
    loft: str = "Loft Pringsewu"


class PigeonPost:
    """Messages by pigeon."""

    Settings: ClassVar[type[ChannelSettings]] = PigeonSettings
    content_types: ClassVar[frozenset[str]] = frozenset({HTTP, JSON})
    methods: ClassVar[frozenset[str]] = frozenset({"POST"})
    media_types: ClassVar[frozenset[str]] = frozenset({"application/json"})
    own_addresses = ("loft",)
    poll_every = 60.0
    sky: ClassVar[list[dict[str, str]]] = []  # what the provider holds for us
    flown: ClassVar[list[Reply]] = []  # what we sent

    def __init__(self, settings: PigeonSettings, context: ChannelContext) -> None:
        self._secret = settings.secret.reveal().encode()
        self._context = context

    def verify(self, request: WebhookRequest) -> Envelope:
        signed = hmac.new(self._secret, request.body, "sha256").hexdigest()
        if not hmac.compare_digest(request.headers.get("x-ring", ""), signed):
            raise Unverified("the ring does not match")
        pigeon = json.loads(request.body)
        return Envelope(pigeon["id"], pigeon["from"])

    def accepted(self, request: WebhookRequest) -> Response:
        return Response(body=b"coo")

    def recognises(self, payload: bytes) -> str | None:
        return recognise(payload, self.content_types)

    def translate(self, raw: RawMessage) -> Sequence[Event]:
        fields = raw.json() if raw.content_type == JSON else raw.request().json()
        if fields.get("kind") == "feather":
            return [Ignored(why="only a feather")]
        return [
            CitizenMessage(
                external_id=fields.need("id"),
                sender=fields.need("from"),
                recipient="loft",
                text=fields.get("text"),
                sender_is_phone=False,
            )
        ]

    def poll(self, cursor: str | None) -> Batch:
        start = int(cursor or 0)
        messages = [FetchedMessage(Envelope(p["id"], p["from"]), json.dumps(p).encode()) for p in self.sky[start:]]
        return Batch(messages=messages, cursor=str(len(self.sky)), more=False)

    def reply(self, reply: Reply) -> Receipt:
        self.flown.append(reply)
        return Receipt(f"flight {len(self.flown)}")

    def find(self, reply: Reply) -> Receipt | None:
        return next((Receipt(f"flight {n}") for n, flown in enumerate(self.flown, 1) if flown.id == reply.id), None)

    def parts(self, text: str) -> int:
        return 1


GATEWAY = """
[server]
public_url = "https://lapor.example.go.id"
[database]
url = "sqlite:///gateway.db"
[encryption]
keys = [{ file = "key" }]
lookup_key = { file = "key" }
"""

REGION = """
code = "18.10"
name = "Kabupaten Pringsewu"
agency = "Pemerintah Kabupaten Pringsewu"
[channels.pigeons]
adapter = "pigeon.post"
secret = { file = "ring" }
"""


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Register the toy beside the built-in adapters, as one line in `adapters/__init__.py` would."""
    module = ModuleType("toy_pigeons")
    module.PigeonPost = PigeonPost  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "toy_pigeons", module)
    monkeypatch.setattr(PigeonPost, "sky", [])
    monkeypatch.setattr(PigeonPost, "flown", [])
    return Registry({**BUILTIN, "pigeon.post": Spec("toy_pigeons:PigeonPost", "pigeon")})


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write a configuration with one region that has pigeons."""
    (tmp_path / "key").write_bytes(base64.b64encode(b"k" * 32))
    (tmp_path / "ring").write_text("cincin")
    directory = tmp_path / "config"
    (directory / "regions").mkdir(parents=True)
    (directory / "gateway.toml").write_text(GATEWAY)
    (directory / "regions" / "18.10-pringsewu.toml").write_text(REGION)
    return directory


@pytest.fixture
def gateway(config: Path, registry: Registry) -> Iterator[Gateway]:
    """Build the gateway with the toy's channel."""
    gateway = build(load(config, registry), registry)
    gateway.prepare()
    yield gateway
    gateway.close()


def webhook(**pigeon: str) -> WebhookRequest:
    body = json.dumps(pigeon).encode()
    ring = hmac.new(b"cincin", body, "sha256").hexdigest()
    headers = {"content-type": "application/json", "x-ring": ring}
    return WebhookRequest("POST", "https://lapor.example.go.id/in/18.10/pigeons", headers, body)


def work(gateway: Gateway) -> None:
    while sum(stage.run_once() for stage in gateway.stages.values()):
        continue


def delivered(gateway: Gateway) -> list[Any]:
    with gateway.database.read() as connection:
        return list(connection.execute(sa.select(complaints).order_by(complaints.c.id)).all())


def test_a_pigeon_becomes_a_complaint_and_brings_the_ticket_back(gateway: Gateway) -> None:
    channel = gateway.channels["18.10", "pigeons"]
    for _ in range(2):  # pigeons, too, are delivered twice
        _, answer = asyncio.run(
            gateway.receiver.webhook(channel, webhook(id="p1", **{"from": "atap-7"}, text="kandang bau"))
        )
        assert answer.body == b"coo"
    work(gateway)
    (complaint,) = delivered(gateway)
    assert (complaint.description, complaint.place_code) == ("kandang bau", "18.10")
    assert complaint.agency == "Pemerintah Kabupaten Pringsewu"
    assert complaint.adapter == "pigeon.post"
    (reply,) = PigeonPost.flown
    assert reply.to == "atap-7"
    assert complaint.ticket in reply.text


def test_the_poll_finds_what_the_webhook_missed_and_nothing_twice(gateway: Gateway) -> None:
    (channel,) = gateway.polled
    asyncio.run(gateway.receiver.webhook(channel, webhook(id="p1", **{"from": "atap-7"}, text="kandang bau")))
    PigeonPost.sky.append({"id": "p1", "from": "atap-7", "text": "kandang bau"})
    PigeonPost.sky.append({"id": "p2", "from": "atap-8", "text": "jagung habis"})
    gateway.jobs.poll(channel)
    gateway.jobs.poll(channel)
    work(gateway)
    assert [complaint.description for complaint in delivered(gateway)] == ["kandang bau", "jagung habis"]


def test_commands_work_on_a_channel_without_phones(gateway: Gateway) -> None:
    channel = gateway.channels["18.10", "pigeons"]
    asyncio.run(gateway.receiver.webhook(channel, webhook(id="p1", **{"from": "atap-7"}, text="kandang bau")))
    work(gateway)
    ticket = delivered(gateway)[0].ticket
    asyncio.run(gateway.receiver.webhook(channel, webhook(id="p2", **{"from": "atap-7"}, text=f"status {ticket}")))
    asyncio.run(gateway.receiver.webhook(channel, webhook(id="p3", **{"from": "atap-9"}, text=f"status {ticket}")))
    work(gateway)
    answers = {reply.to: reply.text for reply in PigeonPost.flown[1:]}
    assert answers["atap-7"].startswith(f"Tiket {ticket}: diterima")
    assert "tidak ditemukan" in answers["atap-9"]


def test_our_own_pigeons_and_feathers_are_not_answered(gateway: Gateway) -> None:
    channel = gateway.channels["18.10", "pigeons"]
    asyncio.run(gateway.receiver.webhook(channel, webhook(id="p1", **{"from": "loft"}, text="BANTUAN")))
    asyncio.run(gateway.receiver.webhook(channel, webhook(id="p2", **{"from": "atap-7"}, kind="feather")))
    work(gateway)
    assert (PigeonPost.flown, delivered(gateway)) == ([], [])


def test_a_forged_ring_is_refused(gateway: Gateway) -> None:
    channel = gateway.channels["18.10", "pigeons"]
    forged = WebhookRequest("POST", "https://x", {"x-ring": "0" * 64}, b'{"id": "p1", "from": "x"}')
    with pytest.raises(Unverified):
        asyncio.run(gateway.receiver.webhook(channel, forged))
    work(gateway)
    assert delivered(gateway) == []


def test_an_unreadable_pigeon_is_a_dead_letter(gateway: Gateway) -> None:
    channel = gateway.channels["18.10", "pigeons"]
    PigeonPost.sky.append({"id": "", "from": "atap-7"})
    gateway.jobs.poll(channel)
    work(gateway)
    (letter,) = gateway.spool.inbox.dead(10)
    assert letter.reason == Untranslatable("field id is missing").reason


def test_the_toy_implements_the_ports() -> None:
    toy = PigeonPost(PigeonSettings(secret=Secret("cincin")), ChannelContext(region="00", channel="x", webhook_url=""))
    assert all(isinstance(toy, port) for port in (Translator, Webhook, Poller, Replier))


def test_its_settings_are_checked_like_all_others(config: Path, registry: Registry) -> None:
    region = config / "regions" / "18.10-pringsewu.toml"
    region.write_text(REGION.replace("secret =", "scret ="))
    with pytest.raises(Faults) as raised:
        load(config, registry)
    assert {(fault.key, fault.problem.split(";")[0]) for fault in raised.value.faults} == {
        ("channels.pigeons.scret", "is not a setting"),
        ("channels.pigeons.secret", "is missing"),
    }
    assert "did you mean 'secret'?" in raised.value.message


def test_its_settings_appear_in_the_schema_for_editors(registry: Registry) -> None:
    channels = schemas(registry)["region"]["properties"]["channels"]["additionalProperties"]["oneOf"]
    (pigeon,) = [channel for channel in channels if channel["title"] == "pigeon.post"]
    assert {"adapter", "replies", "secret", "loft"} <= set(pigeon["properties"])
