"""What every simulated provider on HTTP has: a life, listeners, failures on demand, and a door for other programs."""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import requests

from gateway.testing.provider_calls import Caller, Sent
from gateway.testing.provider_server import Answer, ProviderServer

_NOT_HERE = Answer(404, {"message": "the simulator has no such page"})


class SimulatedProvider(ABC):
    """A provider on `http://127.0.0.1:port`; a subclass answers its API and writes its webhooks."""

    name: str  # of its threads
    setting: str  # the channel's setting that says where it listens
    failures: Iterable[str]  # what `fail` may be asked for, besides reject:CODE
    calls: Sequence[str] = ("send",)  # what may fail, as `fail(on=...)` names it

    def __init__(self, port: int) -> None:
        """Prepare; `port` 0 takes a free one."""
        self._port = port
        self._caller = Caller()
        self._lock = threading.Lock()
        self._failing: dict[str, deque[str]] = {call: deque() for call in self.calls}
        self._listeners: list[Callable[[Any], None]] = []
        self._stopping = threading.Event()
        self._server: ProviderServer | None = None
        self._phones: ThreadPoolExecutor | None = None

    # --- what a provider adds ---

    @abstractmethod
    def _serve(self, method: str, target: str, authorization: str, body: bytes) -> Answer:
        """Answer one call of the API."""

    @abstractmethod
    def _shown(self) -> list[dict[str, Any]]:
        """Return all messages for another program, oldest first."""

    @abstractmethod
    def send(self, from_: str, text: str, media: Sequence[tuple[str, bytes]] = (), *, call: bool = True) -> Sent:
        """Send a citizen's message."""

    # --- life ---

    @property
    def url(self) -> str:
        """The base URL of the API; raises `RuntimeError` before `start`."""
        if not self._port:
            raise RuntimeError("start the simulator first")
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> Self:
        """Listen; raises `OSError` where the port is taken."""
        self._stopping.clear()
        self._server = ProviderServer(self._port, self._answer, self._stopping)
        self._port = self._server.server_port  # the same one after a stop and a start
        self._phones = ThreadPoolExecutor(2, f"{self.name}-phones")
        threading.Thread(target=self._server.serve_forever, args=(0.02,), name=self.name, daemon=True).start()
        return self

    def hang_up(self) -> None:  # noqa: B027  few have to do anything
        """Do nothing: a call to a gateway that has gone fails at once."""

    def stop(self) -> None:
        """Stop listening and cut open connections; messages stay."""
        self._stopping.set()
        if self._server is not None and self._phones is not None:
            self._server.close()
            self._phones.shutdown(cancel_futures=True)
        self._server = self._phones = None
        self._caller.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    # --- failures ---

    def fail(self, how: str, *, next: int = 1, on: str = "send") -> None:  # noqa: A002 - it reads as it is meant
        """Let the next calls fail.

        `how`: throttle (429), server_error (500), unauthorized (401), reject:CODE (400), timeout (no answer, not
        stored), drop_after_accept (stored, connection closed without an answer). Raises `ValueError` for others.
        """
        if how not in self.failures and not (how.startswith("reject:") and how[7:].isdigit()):
            raise ValueError(f"unknown failure {how!r}; known: {', '.join(self.failures)}, reject:CODE")
        if on not in self._failing:
            raise ValueError(f"unknown call {on!r}; known: {', '.join(self._failing)}")
        with self._lock:
            self._failing[on].extend([how] * next)

    def recover(self) -> None:
        """Forget the failures that were asked for and have not happened yet."""
        with self._lock:
            for waiting in self._failing.values():
                waiting.clear()

    def _failure(self, call: str) -> str:
        """Return how this call is to fail, or nothing."""
        with self._lock:
            waiting = self._failing[call]
            return waiting.popleft() if waiting else ""

    # --- other programs ---

    def subscribe(self, listener: Callable[[Any], None]) -> None:
        """Call the listener with every message the gateway sends, on the thread that took it."""
        self._listeners.append(listener)

    def _tell(self, message: Any) -> None:
        for listener in self._listeners:
            listener(message)

    def _elsewhere(self) -> list[dict[str, Any]]:
        """Return the messages of the simulator of another process, which listens on our port.

        Raises `OSError` where what listens there is no simulator.
        """
        with requests.Session() as session:
            session.trust_env = False  # never through a proxy: it is on this machine
            answer = session.get(f"{self.url}/_simulator/messages", timeout=5)
            answer.raise_for_status()
            found: list[dict[str, Any]] = answer.json()["messages"]
            return found

    def _answer(self, method: str, target: str, authorization: str, body: bytes) -> Answer:
        path = target.partition("?")[0]
        if path.startswith("/_simulator/"):
            return self._control(method, path.removeprefix("/_simulator/"), body)
        return self._serve(method, target, authorization, body)

    def _control(self, method: str, name: str, body: bytes) -> Answer:
        """Serve another program's wishes: GET messages, POST fail, POST send."""
        try:
            asked = json.loads(body or b"{}")
            if (method, name) == ("GET", "messages"):
                return Answer(200, {"messages": self._shown()})
            if (method, name) == ("POST", "fail"):
                self.fail(asked["how"], next=asked.get("next", 1), on=asked.get("on", "send"))
                return Answer(200, {"asked": asked["how"]})
            if (method, name) == ("POST", "send"):
                sent = self.send(asked["from"], asked["text"], call=asked.get("call", True))
                return Answer(200, {"sid": sent.sid, "status": sent.status, "error": sent.error})
        except (KeyError, TypeError, ValueError) as exc:
            return Answer(400, {"message": f"{type(exc).__name__}: {exc}"})
        return _NOT_HERE
