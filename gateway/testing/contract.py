"""The promises every adapter keeps, as a pytest class to inherit.

A test of an adapter is a subclass of `AdapterContract` with three fixtures: `adapter`, `forge` (what only that
provider knows: see `gateway.testing.forge.Forge`) and `requests_dir` (a folder with request files; the expected
results lie in `../expected`, same stem).
Needs the `test` extra. Every assertion ends with how to fix it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.domain.errors import (
    GatewayError,
    Malformed,
    Rejected,
    Throttled,
    Unavailable,
    Untranslatable,
    Unverified,
)
from gateway.domain.events import CitizenMessage, Ignored
from gateway.ports import HTTP, JSON, Poller, Replier, Reply, Webhook
from gateway.ports.wire import WebhookRequest
from gateway.testing import requestfile
from gateway.testing.forge import (
    PAYLOADS,
    RAW_ID,
    TEXTS,
    Forge,
    Message,
    Provider,
    envelope_of,
    outcome,
    raised_by,
    raw_message,
    stored,
)
from gateway.testing.page import PageContract

# differing_executors: every adapter's suite is a class of its own, and runs these tests as its own.
_unasked = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
_fuzz = settings(max_examples=60, deadline=None, suppress_health_check=_unasked)


class AdapterContract(PageContract):
    """Inherit it, give the three fixtures, and every test below runs for the adapter."""

    longest_text: ClassVar[int | None] = None  # characters, where the channel's own form ends before that of our texts

    @pytest.fixture
    def adapter(self) -> Any:
        """Make the adapter, with settings that point it at its simulator."""
        pytest.fail("write a fixture `adapter` that returns the adapter made with test settings")

    @pytest.fixture
    def forge(self) -> Forge:
        """Make the object that writes and signs as the provider does."""
        pytest.fail("write a fixture `forge` that returns an object with the members of gateway.testing.forge.Forge")

    @pytest.fixture
    def requests_dir(self) -> Path:
        """Name the folder with the request files."""
        pytest.fail("write a fixture `requests_dir` that returns the path of the folder with the .http files")

    # --- recorded requests ---

    def recorded(self, adapter: Any, requests_dir: Path) -> Iterator[tuple[str, Message]]:
        """Yield stem and message of every recorded file; another form than HTTP overrides this."""
        yield from requestfile.read_all(requests_dir)

    def test_recorded_requests(self, adapter: Any, requests_dir: Path) -> None:
        """Every recorded request becomes what its expected file says."""
        cases = list(self.recorded(adapter, requests_dir))
        assert cases, f"{requests_dir} has no recorded file: record a real request there first"
        for stem, message in cases:
            path = requests_dir.parent / "expected" / f"{stem}.json"
            assert path.exists(), f"write {path.name}: what the file {stem} in requests/ should become"
            made, wanted = outcome(adapter, message), json.loads(path.read_bytes())
            assert made == wanted, f"{stem}: if the new result is right, put it into expected/{path.name}"

    # --- the front door ---

    def test_missing_signature_is_refused(self, adapter: Any, forge: Forge) -> None:
        """No signature, or an empty one: refused."""
        request = self._signed(adapter, forge)
        headers = {name: value for name, value in request.headers.items() if name != forge.signature_header}
        for changed in (headers, headers | {forge.signature_header: ""}):
            refused = raised_by(adapter.verify, replace(request, headers=changed))
            assert type(refused) is Unverified, "verify must raise Unverified where the signature header is missing"

    def test_tampered_request_is_refused(self, adapter: Any, forge: Forge) -> None:
        """Any change to body, URL or signature: refused."""
        request = self._signed(adapter, forge)
        good = request.headers[forge.signature_header]
        changes: list[dict[str, Any]] = [
            {"body": request.body + b"&Body=lain"},
            {"body": request.body.replace(b"rusak", b"mulus")},
            {"body": b""},
            {"url": request.url + "/lain"},
            *({"headers": {**request.headers, forge.signature_header: bad}} for bad in ("x", good[:-4], "é", good * 9)),
        ]
        for change in changes:
            refused, part = raised_by(adapter.verify, replace(request, **change)), next(iter(change))
            assert type(refused) is Unverified, f"changed {part} must be Unverified: check raw bytes and public URL"

    def test_redelivery_has_the_same_key(self, adapter: Any, forge: Forge) -> None:
        """One message has one key, however often it is delivered."""
        first, again = (envelope_of(adapter, forge.message("Jalan rusak", "m1")) for _ in range(2))
        other = envelope_of(adapter, forge.message("Jalan rusak", "m2"))
        assert first == again, "the envelope must come from the provider's message id, not from the delivery"
        assert first.key != other.key, "two messages need two keys: use the provider's own message id"
        assert first.sender == forge.sender, "name the sender in the envelope, so their messages stay in order"

    # --- translation ---

    def test_translate_is_pure_and_repeatable(self, adapter: Any, forge: Forge) -> None:
        """The same raw message always becomes the same events."""
        raw = stored(forge.message("Jalan rusak", "m1"))
        results = [adapter.translate(raw) for _ in range(3)]
        assert results[0] == results[1] == results[2], "translate may depend on nothing but the raw message"
        (event,) = results[0]
        assert isinstance(event, CitizenMessage), "a plain text message becomes one CitizenMessage"
        assert event.sender == forge.sender, "take the sender as the provider gives it"

    def test_an_id_made_of_the_message_is_declared(self, adapter: Any, forge: Forge) -> None:
        """Who knows a text could try all numbers against a hash of both: such an id must not reach the centre."""
        raw = stored(forge.message("Jalan rusak", "m1"))
        (event,) = adapter.translate(raw)
        given = event.external_id == raw.id.hex or event.external_id.encode() in raw.payload
        assert event.made_id is not given, "made_id = True where the external_id is made of the message, else False"

    @pytest.mark.parametrize("kind", TEXTS)
    def test_text_survives(self, adapter: Any, forge: Forge, kind: str) -> None:
        """What the citizen wrote comes through unchanged."""
        text = TEXTS[kind][: self.longest_text]
        message = forge.message(text, "m1")
        envelope_of(adapter, message)
        (event,) = adapter.translate(stored(message))
        assert isinstance(event, CitizenMessage), f"a message with {kind} text is still a message"
        assert event.text == text, f"{kind} text was changed: keep what the citizen wrote, enrich cleans it"

    def test_unknown_kind_is_ignored(self, adapter: Any, forge: Forge) -> None:
        """A kind of webhook invented tomorrow is kept, not an error."""
        events = adapter.translate(stored(forge.unknown()))
        assert [type(event) for event in events] == [Ignored], "return Ignored(why) for kinds you do not know"

    @_fuzz
    @given(body=st.binary(max_size=300))
    def test_garbage_is_refused_or_dead(self, adapter: Any, forge: Forge, body: bytes) -> None:
        """Random bytes, signed or not, raise nothing outside the closed list."""
        genuine = forge.message("x", "m1")
        if isinstance(genuine, WebhookRequest):
            with suppress(Unverified, Malformed):
                adapter.verify(replace(genuine, body=body))
        message = forge.garbage(body)
        with suppress(Unverified, Malformed):
            envelope_of(adapter, message)
        with suppress(Untranslatable):
            adapter.translate(stored(message))

    @_fuzz
    @given(payload=PAYLOADS)
    def test_stored_garbage_is_dead(self, adapter: Any, payload: bytes) -> None:
        """Random stored payloads raise nothing but `Untranslatable`."""
        for content_type in {HTTP, JSON, "application/octet-stream", *adapter.content_types}:
            with suppress(Untranslatable):
                adapter.translate(raw_message(payload, content_type))

    def test_a_bare_payload_is_recognised(self, adapter: Any, forge: Forge) -> None:
        """`try` reads a recorded file, which has no content type beside it."""
        raw = stored(forge.message("Jalan rusak", "m1"))
        assert raw.content_type in adapter.content_types, "name every content type that the adapter stores"
        assert adapter.recognises(raw.payload) == raw.content_type, "recognise what the adapter stores"
        assert adapter.recognises(b"") is None, "an empty file is none of the adapter's messages"

    # --- replies ---

    def test_reply_arrives_and_is_found(self, adapter: Any, forge: Forge) -> None:
        """A reply goes out once and can be looked up."""
        provider, reply = self._reply(adapter, forge)
        assert adapter.find(reply) is None, "find must be None for a reply that was never sent"
        receipt = adapter.reply(reply)
        assert receipt.external_id, "Receipt.external_id is what delivery receipts will name: the provider's id"
        assert provider.replies_to(forge.sender) == [reply.text], "send the text as it is"
        assert adapter.find(reply) in (None, receipt), "find must name the reply that did go out, and no other"

    @pytest.mark.parametrize(
        ("how", "error"),
        [
            ("throttle", Throttled),
            ("server_error", Unavailable),
            ("unauthorized", Unavailable),
            ("timeout", Unavailable),
            ("refuse", Rejected),
        ],
    )
    def test_provider_failures_are_classified(
        self, adapter: Any, forge: Forge, how: str, error: type[GatewayError]
    ) -> None:
        """Each failure says rightly whether to try again."""
        provider, reply = self._reply(adapter, forge)
        provider.fail(forge.refused_code if how == "refuse" else how)
        raised = raised_by(adapter.reply, reply)
        assert type(raised) is error, f"{how} must be {error.__name__}: see gateway.errors"
        assert forge.sender not in str(raised), "never quote the provider's text: it holds the phone number"
        assert provider.replies_to(forge.sender) == [], f"{how}: nothing may have been sent"

    def test_lost_answer_is_found(self, adapter: Any, forge: Forge) -> None:
        """A reply whose answer was lost is found, or recognised by the provider: not sent twice."""
        provider, reply = self._reply(adapter, forge)
        if why := getattr(forge, "resends", ""):
            pytest.skip(why)
        provider.fail("drop_after_accept")
        lost = raised_by(adapter.reply, reply)
        assert type(lost) is Unavailable, "a connection that breaks before the answer is Unavailable"
        if adapter.find(reply) is None:
            adapter.reply(reply)  # as the core does then
        assert provider.replies_to(forge.sender) == [reply.text], (
            "look up in find whether it went out, or send an id by which the provider drops a second one; where it can "
            "do neither, say so on the page and in forge.resends"
        )

    # --- what must not leak ---

    def test_logs_hold_no_person_and_no_secret(
        self, adapter: Any, forge: Forge, caplog: pytest.LogCaptureFixture
    ) -> None:
        """At DEBUG, with tracebacks, nothing personal or secret is written."""
        caplog.set_level(logging.DEBUG)
        message = forge.message("Rahasia sekali", "m1")
        envelope_of(adapter, message)
        if isinstance(message, WebhookRequest):
            with suppress(GatewayError):
                adapter.verify(replace(message, body=b"x"))
        adapter.translate(stored(message))
        if isinstance(adapter, Poller):
            adapter.poll(None)
        if isinstance(adapter, Replier) and forge.provider is not None:
            _, reply = self._reply(adapter, forge)
            adapter.reply(reply)
            adapter.find(reply)
            for how in ("server_error", forge.refused_code):
                forge.provider.fail(how)
                try:
                    adapter.reply(reply)
                except GatewayError as exc:
                    logging.getLogger("contract").exception(exc.reason, exc_info=exc)
        written = caplog.text + "".join(repr(record.__dict__) for record in caplog.records)
        number = forge.sender.lstrip("+")
        for word in [number, "Rahasia sekali", *forge.secrets]:
            assert word not in written, "a log record holds a person or a secret: silence the library that wrote it"

    # --- shared by the tests above ---

    def _signed(self, adapter: Any, forge: Forge) -> WebhookRequest:
        if not isinstance(adapter, Webhook) or not forge.signature_header:
            pytest.skip("not called by its provider, or the provider cannot sign")
        request = forge.message("Jalan rusak", "m1")
        assert isinstance(request, WebhookRequest), "a Webhook's forge builds webhooks"
        return request

    def _reply(self, adapter: Any, forge: Forge) -> tuple[Provider, Reply]:
        if not isinstance(adapter, Replier) or forge.provider is None:
            pytest.skip("cannot reply")
        text = "Laporan Anda diterima. Nomor tiket 12345678."
        return forge.provider, Reply(id=RAW_ID, to=forge.sender, text=text, created_at=datetime.now(UTC))
