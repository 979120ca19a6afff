"""Test replies: each is sent once, can be looked up, and fails with an error that tells whether to try again."""

from __future__ import annotations

import pytest

from gateway.domain.errors import GatewayError, Rejected, Throttled, Unavailable
from gateway.ports import Adapter
from gateway.testing.contract.base import Contract
from gateway.testing.forge import Forge, raised_by

FAILURES: list[tuple[str, type[GatewayError]]] = [
    ("throttle", Throttled),
    ("server_error", Unavailable),
    ("unauthorized", Unavailable),
    ("timeout", Unavailable),
    ("refuse", Rejected),
]


class ReplyContract(Contract):
    """Tests of `reply` and `find`."""

    def test_reply_arrives_and_is_found(self, adapter: Adapter, forge: Forge) -> None:
        """Send a reply once, and find it."""
        replier, provider, reply = self.replying(adapter, forge)
        assert replier.find(reply) is None, "return None in find for a reply that was never sent"
        receipt = replier.reply(reply)
        assert receipt.external_id, "set Receipt.external_id to the provider's id: delivery receipts will name it"
        assert provider.replies_to(forge.sender) == [reply.text], "send the text as it is"
        assert replier.find(reply) in (None, receipt), "return in find the reply that was sent, and no other"

    @pytest.mark.parametrize(("how", "error"), FAILURES)
    def test_provider_failures_are_classified(
        self, adapter: Adapter, forge: Forge, how: str, error: type[GatewayError]
    ) -> None:
        """Raise for each failure the error that tells whether to try again."""
        replier, provider, reply = self.replying(adapter, forge)
        provider.fail(forge.refused_code if how == "refuse" else how)
        raised = raised_by(replier.reply, reply)
        assert type(raised) is error, f"raise {error.__name__} for {how}: see gateway/domain/errors.py"
        assert forge.sender not in str(raised), "never quote the provider's text: it holds the phone number"
        assert provider.replies_to(forge.sender) == [], f"send nothing if the provider fails ({how})"

    def test_lost_answer_is_found(self, adapter: Adapter, forge: Forge) -> None:
        """Send a reply only once, even if the provider's answer was lost."""
        replier, provider, reply = self.replying(adapter, forge)
        if why := getattr(forge, "resends", ""):
            pytest.skip(why)
        provider.fail("drop_after_accept")
        lost = raised_by(replier.reply, reply)
        assert type(lost) is Unavailable, "raise Unavailable if the connection breaks before the answer"
        if replier.find(reply) is None:
            replier.reply(reply)  # as the core does if `find` returns `None`
        assert provider.replies_to(forge.sender) == [reply.text], (
            "look up in find whether it was sent, or send an id by which the provider drops a second one; if it can do "
            "neither, say so in the README and in forge.resends"
        )
