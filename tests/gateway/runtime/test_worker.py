"""The threads of the stages: woken at once, not stopped by a failure, ended in good order."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable

from gateway.domain.errors import Unavailable
from gateway.runtime.worker import Worker
from tests.gateway.fixture_types import Eventually


class Steps:
    """A stage whose batches are given: a number of rows, an error to raise, or a function; after them it is empty."""

    def __init__(self, *steps: int | Exception | Callable[[], int], stage: str = "translate") -> None:
        self.name = stage
        self.steps = list(steps)
        self.turns = 0
        self.turned = threading.Event()
        self.closed = False

    def close(self) -> None:
        self.closed = True

    def run_once(self) -> int:
        self.turns += 1
        self.turned.set()
        step = self.steps.pop(0) if self.steps else 0
        if isinstance(step, Exception):
            raise step
        return step() if callable(step) else step


def test_a_full_queue_is_emptied_without_a_pause(eventually: Eventually) -> None:
    stage = Steps(*[1] * 50)
    worker = Worker([stage], idle=60)
    worker.start()
    eventually(lambda: stage.turns == 51, 5)
    assert worker.stop(5)


def test_a_message_wakes_the_first_stage_and_its_work_the_later_ones(eventually: Eventually) -> None:
    first, second = Steps(0, 1, 0), Steps(0, stage="deliver")
    worker = Worker([first, second], idle=60)
    worker.start()
    eventually(lambda: first.turns == 1 and second.turns == 1)
    worker.wake()
    eventually(lambda: second.turns >= 2, 5)
    assert worker.stop(5)


def test_a_failing_stage_goes_on_and_disturbs_no_other(eventually: Eventually, logs: io.StringIO) -> None:
    broken = Steps(Unavailable("no answer"), ZeroDivisionError("081234567890"), 1)
    other = Steps(*[1] * 5, stage="deliver")
    worker = Worker([broken, other], idle=0.01)
    worker.start()
    eventually(lambda: broken.turns >= 4 and other.turns >= 6)
    assert worker.stop(5)
    assert "stage waits" in logs.getvalue()
    assert "ZeroDivisionError" in logs.getvalue()


def test_stopping_waits_for_the_batch_under_way() -> None:
    finish = threading.Event()
    ended: list[bool] = []

    def batch() -> int:
        finish.wait(10)
        ended.append(True)
        return 1

    stage = Steps(batch)
    worker = Worker([stage], idle=60)
    worker.start()
    stage.turned.wait(5)
    threading.Timer(0.05, finish.set).start()
    assert worker.stop(10)
    assert ended == [True]
    assert stage.closed, "its claims are released"


def test_stopping_says_so_where_a_batch_does_not_end() -> None:
    let_go = threading.Event()
    stage = Steps(lambda: int(let_go.wait(10)))
    worker = Worker([stage], idle=60)
    worker.start()
    stage.turned.wait(5)
    assert not worker.stop(0.05)
    let_go.set()
    assert worker.stop(5)
