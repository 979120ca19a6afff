"""The contract of the room: each piece of furniture that is missing is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pydantic import Field

from adapters.sms.twilio.adapter import TwilioSms
from adapters.sms.twilio.settings import TwilioSettings
from gateway.ports import ChannelContext, Secret
from gateway.testing.contract.room import RoomContract

ROOM = Path(__file__).parents[3] / "adapters" / "sms" / "twilio"
CHECKS = RoomContract()


@pytest.fixture
def adapter() -> TwilioSms:
    settings = TwilioSettings(account_sid="AC" + "0" * 32, auth_token=Secret("test"), sender="1708")
    return TwilioSms(settings, ChannelContext(region="00", channel="sms", webhook_url=""))


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """Return a copy of a complete room, which a test may spoil."""
    copy = tmp_path / "adapters" / "sms" / "twilio"
    shutil.copytree(ROOM, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.mark.parametrize("name", ["settings.py", "README.md", "simulator"])
def test_missing_furniture_is_named(room: Path, name: str) -> None:
    path = room / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(AssertionError, match=f"write twilio/{name}"):
        CHECKS.test_room_has_its_furniture(room, room / "tests" / "requests")


def test_requests_outside_the_room_are_refused(room: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="keep recorded requests in twilio/tests"):
        CHECKS.test_room_has_its_furniture(room, tmp_path)


def test_a_setting_that_the_page_does_not_explain_is_named(adapter: TwilioSms, room: Path) -> None:
    page = room / "README.md"
    page.write_text(page.read_text("utf-8").replace("`poll_overlap`", "poll overlap"), "utf-8")
    with pytest.raises(AssertionError, match=r"explain the setting `poll_overlap` in README\.md"):
        CHECKS.test_page_names_every_setting(adapter, room)


class PlainSettings(TwilioSettings):
    """Settings with a description that the catalogue does not collect."""

    sender: str = Field(description="Our number.")


class PlainSms(TwilioSms):
    """An adapter with these settings."""

    Settings = PlainSettings


def test_a_description_that_is_no_text_of_the_catalogue_is_named(room: Path) -> None:
    settings = PlainSettings(account_sid="AC" + "0" * 32, auth_token=Secret("test"), sender="1708")
    adapter = PlainSms(settings, ChannelContext(region="00", channel="sms", webhook_url=""))
    with pytest.raises(AssertionError, match=r"write the description of sender with text\(\)"):
        CHECKS.test_page_names_every_setting(adapter, room)


def test_an_exemption_without_a_reason_is_named(room: Path) -> None:
    with (room / "README.md").open("a", encoding="utf-8") as page:
        page.write("- [exempt] everything\n")
    with pytest.raises(AssertionError, match="give the exemption's reason in brackets"):
        CHECKS.test_page_has_quality_list(room)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("sender = ", "sendr = ", "remove from sample.toml the keys that are no settings: sendr"),
        ("sender = ", "# sender = ", "add to sample.toml the required settings: sender"),
    ],
)
def test_a_fault_in_the_sample_is_named(adapter: TwilioSms, room: Path, old: str, new: str, message: str) -> None:
    sample = room / "sample.toml"
    sample.write_text(sample.read_text("utf-8").replace(old, new), "utf-8")
    with pytest.raises(AssertionError, match=message):
        CHECKS.test_sample_sets_the_required_settings(adapter, room)


@pytest.mark.parametrize("module", ["adapters.sms.twilio.payloads", "adapters.common.signature", "gateway.pipeline"])
def test_a_simulator_that_imports_its_adapter_is_named(room: Path, module: str) -> None:
    (room / "simulator" / "extra.py").write_text(f"from {module} import anything\n", "utf-8")
    with pytest.raises(AssertionError, match=rf"remove from simulator/extra\.py the import of {module}"):
        CHECKS.test_simulator_does_not_import_its_adapter(room)
