"""The centre is away, for as long as it likes: citizens are heard, and nothing waits for anything but the centre."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from rig.books import Books
from rig.installation import Installation, free_port, until
from rig.load import HELP, Phone, Written, write
from rig.proxy import Proxy

pytestmark = [pytest.mark.fault, pytest.mark.timeout(120)]


def test_centre_down_at_the_start(
    new_database: Callable[[], str], install: Callable[..., Installation], tell: Callable[[object], None]
) -> None:
    """A gateway that restarts while the centre is away still accepts, and answers what needs no centre."""
    central, port = new_database(), free_port()
    parts = urlsplit(central)
    away = parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{port}").geturl()
    installation = install(new_database(), central_url=away)
    installation.start("web", "work")
    twilio = installation.twilio
    messages = [write(number) for number in range(40)] + [write(100 + number, HELP) for number in range(5)]
    _deliver(installation, messages)
    until(lambda: len(twilio.messages("outbound-api")) == 5, 20, "those who asked for help to be answered")
    with Proxy(parts.port or 0, port=port):
        books = Books(installation)
        drained = books.wait_drained()
        found = books.audit(messages)
    tell(f"drained {drained:.1f} s after the centre came; {found}")
    assert all(written.accepted for written in messages)
    assert found.complaints == 40
    assert not found.repeated


def _deliver(installation: Installation, messages: list[Written]) -> None:
    phone = Phone()
    for written in messages:
        written.attempts.append(phone.post(installation.twilio.webhook(written.message)))
    phone.close()
