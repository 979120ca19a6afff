"""The connection that carries PDUs: an operator that reads slowly, or not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from adapters.sms.smpp.link import Link
from adapters.sms.smpp.patience import Clock, Patience
from adapters.sms.smpp.tests.support import ManualClock, RawOperator
from gateway.domain.errors import Unavailable


def connect(operator: RawOperator, clock: Clock) -> Link:
    link = Link("127.0.0.1", operator.port, tls=None, patience=Patience(10, lambda: False, clock))
    operator.accept()
    return link


@pytest.fixture
def blocked(operator: RawOperator, clock: ManualClock) -> Iterator[Link]:
    """Return a link that was given up, because the operator did not read."""
    link = connect(operator, clock)
    clock.per_look = 1
    with pytest.raises(Unavailable, match="does not read"):
        link.write(bytes(50_000_000))
    yield link
    link.release()


@pytest.mark.parametrize("use", [lambda link: link.write(b"x"), lambda link: link.read(0)], ids=["write", "read"])
def test_after_half_a_pdu_the_link_is_closed(blocked: Link, use: Callable[[Link], object]) -> None:
    with pytest.raises(Unavailable):
        use(blocked)


def test_an_operator_that_reads_slowly_gets_everything(operator: RawOperator) -> None:
    link = connect(operator, Clock())
    sizes: list[int] = []

    def read() -> None:
        while data := operator.connection.recv(1_000_000):
            sizes.append(len(data))

    reading = threading.Thread(target=read)
    reading.start()
    link.write(bytes(20_000_000))
    link.close()
    link.release()
    reading.join(10)
    assert sum(sizes) == 20_000_000
