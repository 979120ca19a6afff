"""Helpers of the tests of messages in parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.bootstrap import Gateway
from gateway.pipeline.replay import Replay
from tests.gateway.fixture_types import Drain
from tests.gateway.pipeline.waves import Waves

CITIZEN, STRANGER = "+6281200000001", "+6281200000002"
THREE = ["Jalan di depan pasar ", "Pringsewu berlubang ", "sejak tiga bulan"]
WHOLE = "".join(THREE)


def intake(gateway: Gateway) -> Any:
    return gateway.stages["intake"]


def gather(gateway: Gateway) -> int:
    return gateway.stages["gather"].run_once()


def replay_of(gateway: Gateway) -> Replay:
    return Replay(gateway.spool, gateway.channels, gateway.composer, gateway.joining, gateway.casework)


def without(waves: Waves, gateway: Gateway, drain: Drain, missing: int, texts: Sequence[str] = THREE) -> None:
    """Let all parts but one come, and the time be over."""
    for number in range(1, len(texts) + 1):
        if number != missing:
            waves.part(gateway, number, texts)
    drain(gateway)
    waves.clock.advance(seconds=601)
    drain(gateway)
