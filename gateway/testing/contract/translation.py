"""Test translation: it is pure, keeps the citizen's text, and refuses random bytes with the right errors."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.domain.errors import Malformed, Untranslatable, Unverified
from gateway.domain.events import CitizenMessage, Ignored
from gateway.ports import HTTP, JSON, Adapter, Webhook
from gateway.ports.wire import WebhookRequest
from gateway.testing.contract.base import Contract, fuzz
from gateway.testing.forge import PAYLOADS, TEXTS, Forge, envelope_of, raw_message, stored

UNKNOWN_TYPE = "application/octet-stream"


class TranslationContract(Contract):
    """Tests of `translate`."""

    def test_translate_is_pure_and_repeatable(self, adapter: Adapter, forge: Forge) -> None:
        """Return the same events for the same raw message."""
        raw = stored(forge.message("Jalan rusak", "m1"))
        results = [adapter.translate(raw) for _ in range(3)]
        assert results[0] == results[1] == results[2], "let translate depend on nothing but the raw message"
        (event,) = results[0]
        assert isinstance(event, CitizenMessage), "turn a plain text message into one CitizenMessage"
        assert event.sender == forge.sender, "take the sender as the provider gives it"

    def test_an_id_made_of_the_message_is_declared(self, adapter: Adapter, forge: Forge) -> None:
        """Declare an id that is a hash of number and text: the centre must not get it, as it can reveal the number."""
        raw = stored(forge.message("Jalan rusak", "m1"))
        (event,) = adapter.translate(raw)
        assert isinstance(event, CitizenMessage)
        from_provider = event.external_id == raw.id.hex or event.external_id.encode() in raw.payload
        assert event.made_id is not from_provider, "set made_id = True if the external_id is made of the message"

    @pytest.mark.parametrize("kind", TEXTS)
    def test_text_survives(self, adapter: Adapter, forge: Forge, kind: str) -> None:
        """Keep the citizen's text unchanged."""
        text = TEXTS[kind][: self.longest_text]
        message = forge.message(text, "m1")
        envelope_of(adapter, message)
        (event,) = adapter.translate(stored(message))
        assert isinstance(event, CitizenMessage), f"a message with {kind} text is still a message"
        assert event.text == text, f"keep the citizen's text, enrich cleans it: {kind} text was changed"

    def test_unknown_kind_is_ignored(self, adapter: Adapter, forge: Forge) -> None:
        """Ignore a kind of message that the provider may add later."""
        events = adapter.translate(stored(forge.unknown()))
        assert [type(event) for event in events] == [Ignored], "return Ignored(why) for kinds that you do not know"

    @fuzz
    @given(body=st.binary(max_size=300))
    def test_garbage_is_refused_or_dead(self, adapter: Adapter, forge: Forge, body: bytes) -> None:
        """Raise nothing outside the closed list of errors for random bytes, signed or not."""
        genuine = forge.message("x", "m1")
        if isinstance(genuine, WebhookRequest) and isinstance(adapter, Webhook):
            with suppress(Unverified, Malformed):
                adapter.verify(replace(genuine, body=body))
        message = forge.garbage(body)
        with suppress(Unverified, Malformed):
            envelope_of(adapter, message)
        with suppress(Untranslatable):
            adapter.translate(stored(message))

    @fuzz
    @given(payload=PAYLOADS)
    def test_stored_garbage_is_dead(self, adapter: Adapter, payload: bytes) -> None:
        """Raise nothing but `Untranslatable` for random stored payloads."""
        for content_type in {HTTP, JSON, UNKNOWN_TYPE, *adapter.content_types}:
            with suppress(Untranslatable):
                adapter.translate(raw_message(payload, content_type))

    def test_a_bare_payload_is_recognised(self, adapter: Adapter, forge: Forge) -> None:
        """Recognise the content type of a recorded file, for the command `try`."""
        raw = stored(forge.message("Jalan rusak", "m1"))
        assert raw.content_type in adapter.content_types, "name every content type that the adapter stores"
        assert adapter.recognises(raw.payload) == raw.content_type, "recognise the payloads that the adapter stores"
        assert adapter.recognises(b"") is None, "return None for an empty file: it is none of the adapter's messages"
