"""Test `verify`: it accepts only the provider's own requests, and gives each message one key."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.domain.errors import Unverified
from gateway.ports import Adapter
from gateway.testing.contract.base import Contract
from gateway.testing.forge import Forge, envelope_of, raised_by


class DoorContract(Contract):
    """Test `verify`: its refusals, and the keys of its envelopes."""

    def test_missing_signature_is_refused(self, adapter: Adapter, forge: Forge) -> None:
        """Refuse a request without a signature, or with an empty one."""
        webhook, request = self.signed(adapter, forge)
        headers = {name: value for name, value in request.headers.items() if name != forge.signature_header}
        for changed in (headers, headers | {forge.signature_header: ""}):
            refused = raised_by(webhook.verify, replace(request, headers=changed))
            assert type(refused) is Unverified, "raise Unverified in verify if the signature's header is missing"

    def test_tampered_request_is_refused(self, adapter: Adapter, forge: Forge) -> None:
        """Refuse a request if its body, URL or signature was changed."""
        webhook, request = self.signed(adapter, forge)
        good = request.headers[forge.signature_header]
        bodies = (request.body + b"&Body=lain", request.body.replace(b"rusak", b"mulus"), b"")
        changed = [("body", replace(request, body=body)) for body in bodies]
        changed.append(("URL", replace(request, url=request.url + "/lain")))
        for bad in ("x", good[:-4], "é", good * 9):
            headers = {**request.headers, forge.signature_header: bad}
            changed.append(("signature", replace(request, headers=headers)))
        for part, tampered in changed:
            refused = raised_by(webhook.verify, tampered)
            assert type(refused) is Unverified, f"check raw bytes and public URL: a changed {part} must be Unverified"

    def test_redelivery_has_the_same_key(self, adapter: Adapter, forge: Forge) -> None:
        """Give a message the same key in every delivery, and two messages different keys."""
        first, again = (envelope_of(adapter, forge.message("Jalan rusak", "m1")) for _ in range(2))
        other = envelope_of(adapter, forge.message("Jalan rusak", "m2"))
        assert first == again, "make the envelope of the provider's message id, not of the delivery"
        assert first.key != other.key, "use the provider's own message id: two messages need two keys"
        assert first.sender == forge.sender, "name the sender in the envelope, so that their messages stay in order"
