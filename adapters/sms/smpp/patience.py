"""Read the clock, and limit the waits for the operator."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator

_ENDING = 1.0  # seconds for all remaining waits, once the connection is to end
_SLICE = 0.1  # seconds between two checks of `ending`


class Clock:
    """Read the time and wait; a test passes a clock that it moves itself."""

    def now(self) -> float:
        """Return the seconds of the monotonic clock."""
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> None:
        """Wait until the event is set, at most so many seconds."""
        event.wait(seconds)


class Patience:
    """Limit each wait for the operator to `timeout` seconds, and all waits to one second once `ending` is true."""

    def __init__(self, timeout: float, ending: Callable[[], bool], clock: Clock) -> None:
        self.timeout = timeout
        self.clock = clock
        self._ending = ending
        self._last = math.inf  # time of the clock at which all waits end

    def waits(self) -> Iterator[float]:
        """Yield the seconds to wait next, in slices, until the time is over."""
        deadline = self.clock.now() + self.timeout
        while True:
            now = self.clock.now()
            if self._last == math.inf and self._ending():
                self._last = now + _ENDING
            if (left := min(deadline, self._last) - now) <= 0:
                return
            yield min(left, _SLICE)
