"""Test for leaks: no log record has personal data or a secret."""

from __future__ import annotations

import logging
from contextlib import suppress

import pytest
from msgspec.structs import replace

from gateway.domain.errors import GatewayError
from gateway.ports import Adapter, Poller, Replier, Webhook
from gateway.ports.wire import WebhookRequest
from gateway.testing.contract.base import Contract
from gateway.testing.forge import Forge, envelope_of, stored

PRIVATE_TEXT = "Rahasia sekali"


class LeakContract(Contract):
    """Tests of the log records of the adapter and its libraries."""

    def test_logs_hold_no_person_and_no_secret(
        self, adapter: Adapter, forge: Forge, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Write nothing personal or secret, not at DEBUG and not in tracebacks."""
        caplog.set_level(logging.DEBUG)
        self._receive(adapter, forge)
        if isinstance(adapter, Poller):
            adapter.poll(None)
        if isinstance(adapter, Replier) and forge.provider is not None:
            self._send(adapter, forge)
        written = caplog.text + "".join(repr(record.__dict__) for record in caplog.records)
        for word in [forge.sender.lstrip("+"), PRIVATE_TEXT, *forge.secrets]:
            assert word not in written, "silence the library that wrote this: a log record holds a person or a secret"

    def _receive(self, adapter: Adapter, forge: Forge) -> None:
        message = forge.message(PRIVATE_TEXT, "m1")
        envelope_of(adapter, message)
        if isinstance(message, WebhookRequest) and isinstance(adapter, Webhook):
            with suppress(GatewayError):
                adapter.verify(replace(message, body=b"x"))
        adapter.translate(stored(message))

    def _send(self, adapter: Adapter, forge: Forge) -> None:
        replier, provider, reply = self.replying(adapter, forge)
        replier.reply(reply)
        replier.find(reply)
        for how in ("server_error", forge.refused_code):
            provider.fail(how)
            try:
                replier.reply(reply)
            except GatewayError as exc:
                logging.getLogger("contract").exception(exc.reason, exc_info=exc)
