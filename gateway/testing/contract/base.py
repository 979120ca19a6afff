"""The fixtures that the author of an adapter writes, and helpers for all parts of the contract."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings

from gateway.ports import Adapter, Replier, Reply, Webhook
from gateway.ports.wire import WebhookRequest
from gateway.testing.forge import RAW_ID, Forge, Provider

# function_scoped_fixture: all examples use one adapter, which is safe, because verify and translate change no state.
# differing_executors: the suite of every adapter is a subclass, and runs the same test functions.
_suppressed = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
fuzz = settings(max_examples=60, deadline=None, suppress_health_check=_suppressed)

REPLY_TEXT = "Laporan Anda diterima. Nomor tiket 12345678."


class Contract:
    """The base of all parts of the contract."""

    longest_text: ClassVar[int | None] = None  # characters, if the channel's format cannot hold the longest test text

    @pytest.fixture
    def adapter(self) -> Adapter:
        """Make the adapter, with settings that point it at its simulator."""
        pytest.fail("write a fixture `adapter` that returns the adapter made with test settings")

    @pytest.fixture
    def forge(self) -> Forge:
        """Make the object that writes and signs messages as the provider does."""
        pytest.fail("write a fixture `forge` that returns an object with the members of gateway.testing.forge.Forge")

    @pytest.fixture
    def requests_dir(self) -> Path:
        """Return the folder with the request files."""
        pytest.fail("write a fixture `requests_dir` that returns the path of the folder with the .http files")

    def signed(self, adapter: Adapter, forge: Forge) -> tuple[Webhook, WebhookRequest]:
        """Return the adapter as a webhook, and a signed request; skip without a webhook or without signatures."""
        if not isinstance(adapter, Webhook) or not forge.signature_header:
            pytest.skip("not called by its provider, or the provider cannot sign")
        request = forge.message("Jalan rusak", "m1")
        assert isinstance(request, WebhookRequest), "let the forge of an adapter with a webhook build webhooks"
        return adapter, request

    def replying(self, adapter: Adapter, forge: Forge) -> tuple[Replier, Provider, Reply]:
        """Return the adapter as a replier, its provider and a reply; skip if it cannot reply."""
        if not isinstance(adapter, Replier) or forge.provider is None:
            pytest.skip("cannot reply")
        reply = Reply(id=RAW_ID, to=forge.sender, text=REPLY_TEXT, created_at=datetime.now(UTC))
        return adapter, forge.provider, reply
