"""Fixtures of the tests of conversations."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.fixture_types import Drain
from tests.gateway.pipeline.conversation.support import RULES, WINDOW
from tests.gateway.pipeline.waves import Waves


@pytest.fixture
def talk(waves: Waves, drain: Drain) -> Any:
    """Return a function that lets a citizen say something to a gateway that talks, and all of it be worked on."""
    gateway = waves.gateway(window=WINDOW, extra=RULES)

    def say(text: str, **fields: Any) -> Any:
        waves.say(gateway, text, **fields)
        drain(gateway)
        return gateway

    say.gateway = gateway  # type: ignore[attr-defined]
    return say
