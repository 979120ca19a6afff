"""Run the contract of all adapters on each sample configuration."""

from __future__ import annotations

import base64
import tomllib
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from adapters import BUILTIN
from adapters.sms.http.adapter import HttpSms
from adapters.sms.http.settings import HttpSettings
from adapters.sms.http.simulator import FakeAggregator
from adapters.sms.http.tests.support import (
    CITIZEN,
    CONTEXT,
    EXAMPLES,
    HERE,
    URL,
    AggregatorForge,
    a_reply,
    example,
    make,
    pointed,
)
from gateway.domain.events import Delivery, DeliveryReceipt
from gateway.ports import Joiner, Replier, Translator, Webhook
from gateway.ports.registry import Registry
from gateway.settings.reader import load
from gateway.settings.schema import schemas
from gateway.testing.contract import AdapterContract
from gateway.testing.forge import stored

NAMES = sorted(path.stem for path in EXAMPLES.glob("*.toml"))


class SampleContract(AdapterContract):
    name = ""

    @pytest.fixture
    def fake(self) -> Iterator[FakeAggregator]:
        with FakeAggregator(example(self.name), webhook_url=URL, delivery_delay=0.01) as fake:
            yield fake

    @pytest.fixture
    def adapter(self, fake: FakeAggregator) -> HttpSms:
        # Without addresses: a request file does not hold the client's address.
        changes = {} if self.name == "json" else {"auth": {"addresses": None}}
        return HttpSms(pointed(example(self.name, **changes), fake.url), CONTEXT)

    @pytest.fixture
    def forge(self, fake: FakeAggregator) -> AggregatorForge:
        return AggregatorForge(fake, example(self.name))

    @pytest.fixture
    def requests_dir(self) -> Path:
        return HERE / self.name / "requests"


class TestKannel(SampleContract):
    name = "kannel"


class TestJasmin(SampleContract):
    name = "jasmin"


class TestJson(SampleContract):
    name = "json"


del SampleContract, AdapterContract  # else pytest would collect them too


@pytest.mark.parametrize("port", [Translator, Webhook, Joiner, Replier])
def test_implements_its_ports(port: type) -> None:
    assert isinstance(make("kannel"), port)


@pytest.mark.parametrize("name", NAMES)
def test_samples_fit_one_screen(name: str) -> None:
    assert len((EXAMPLES / f"{name}.toml").read_text("utf-8").splitlines()) <= 50


@pytest.mark.parametrize("name", NAMES)
def test_samples_are_read_by_the_real_reader(name: str, tmp_path: Path) -> None:
    (tmp_path / "config" / "regions").mkdir(parents=True)
    (tmp_path / "key").write_bytes(base64.b64encode(b"k" * 32))
    (tmp_path / "config" / "gateway.toml").write_text(
        '[server]\npublic_url = "https://lapor.example.go.id"\n'
        '[encryption]\nkeys = [{ file = "key" }]\nlookup_key = { file = "key" }\n'
    )
    sample = (EXAMPLES / f"{name}.toml").read_text("utf-8")
    (tmp_path / "config" / "regions" / "18.10-pringsewu.toml").write_text(sample, "utf-8")
    (channel,) = load(tmp_path / "config", Registry(BUILTIN)).channels
    assert channel.context.webhook_url == URL
    assert isinstance(channel.settings, HttpSettings)


@pytest.mark.parametrize("name", NAMES)
def test_samples_fit_the_schema_that_editors_use(name: str) -> None:
    schema = schemas(Registry(BUILTIN))["region"]
    sample = tomllib.loads((EXAMPLES / f"{name}.toml").read_text("utf-8"))
    jsonschema.validate(sample, schema)
    sample["channels"]["sms"]["receive"]["txet"] = "x"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(sample, schema)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["Laporan diterima", "Laporan diterima 😀 ñ€"])
def test_receipts_come_back_to_the_reply(name: str, text: str) -> None:
    settings = example(name)
    with FakeAggregator(settings, webhook_url=URL) as fake:
        adapter = HttpSms(pointed(settings, fake.url), CONTEXT)
        receipt = adapter.reply(a_reply(text))
        (message,) = fake.replies(CITIZEN)
        assert message.body == text
        status = next(name for name, state in settings.receipts.states.items() if state is Delivery.DELIVERED)
        request = fake.receipt(message, status)
    assert adapter.verify(request).key == f"receipt:{receipt.external_id}:{status}"
    assert adapter.translate(stored(request)) == [
        DeliveryReceipt(external_id=receipt.external_id, state=Delivery.DELIVERED)
    ]
