"""The threads that run the stages: woken at once, never stopped by a failure, ended in good order."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from typing import Any

from gateway.domain.errors import Unavailable
from gateway.runtime.worker import Worker


class Steps:
    """A stage that does what it is told, one instruction a turn, then nothing."""

    def __init__(self, *steps: Any, stage: str = "translate") -> None:
        self.name, self.steps, self.turns = stage, list(steps), 0
        self.turned = threading.Event()

    def close(self) -> None:
        self.closed = True

    def run_once(self) -> int:
        self.turns += 1
        self.turned.set()
        step = self.steps.pop(0) if self.steps else 0
        if isinstance(step, Exception):
            raise step
        return step() if callable(step) else step


def test_a_full_queue_is_emptied_without_a_pause(eventually: Callable[..., Any]) -> None:
    stage = Steps(*[1] * 50)
    worker = Worker([stage], idle=60)
    worker.start()
    eventually(lambda: stage.turns == 51, 5)
    assert worker.stop(5)


def test_a_message_wakes_the_first_stage_and_its_work_the_later_ones(eventually: Callable[..., Any]) -> None:
    first, second = Steps(0, 1, 0), Steps(0, stage="deliver")
    worker = Worker([first, second], idle=60)
    worker.start()
    eventually(lambda: first.turns == 1 and second.turns == 1)
    worker.wake()
    eventually(lambda: second.turns >= 2, 5)
    assert worker.stop(5)


def test_a_failing_stage_goes_on_and_disturbs_no_other(eventually: Callable[..., Any], logs: io.StringIO) -> None:
    broken = Steps(Unavailable("no answer"), ZeroDivisionError("081234567890"), 1)
    other = Steps(*[1] * 5, stage="deliver")
    worker = Worker([broken, other], idle=0.01)
    worker.start()
    eventually(lambda: broken.turns >= 4 and other.turns >= 6)
    assert worker.stop(5)
    assert "stage waits" in logs.getvalue()
    assert "ZeroDivisionError" in logs.getvalue()


def test_stopping_waits_for_the_batch_under_way() -> None:
    done = threading.Event()

    def slow() -> int:
        time.sleep(0.3)
        done.set()
        return 1

    stage = Steps(slow)
    worker = Worker([stage], idle=60)
    worker.start()
    stage.turned.wait(5)
    assert worker.stop(5)
    assert done.is_set()
    assert stage.closed, "what it held is given back"


def test_stopping_says_so_where_a_batch_does_not_end() -> None:
    let_go = threading.Event()
    stage = Steps(lambda: let_go.wait(10) and 1)
    worker = Worker([stage], idle=60)
    worker.start()
    stage.turned.wait(5)
    assert not worker.stop(0.05)
    let_go.set()
    assert worker.stop(5)
