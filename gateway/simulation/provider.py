"""The base class of simulated HTTP providers: start, stop, webhooks, planned failures, control by other programs."""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import ClassVar, Self, TypeVar
from urllib.parse import urlsplit

import requests

from gateway.ports import ChannelContext
from gateway.ports.wire import WebhookRequest
from gateway.simulation.caller import Caller, Sent
from gateway.simulation.roles import Message
from gateway.simulation.server import SILENCE, Answer, ProviderServer

T = TypeVar("T")

LOST = "drop_after_accept"
_UNANSWERED = {"timeout": Answer(0, wait=SILENCE), LOST: Answer(0)}
_NOT_HERE = Answer(404, {"message": "the simulator has no such page"})


class SimulatedProvider(ABC):
    """A provider on `http://127.0.0.1:port`; a subclass answers the calls of its API and writes its webhooks."""

    name: ClassVar[str]  # of its threads
    setting: ClassVar[str]  # the name of the channel's setting with the provider's address
    failures: ClassVar[Mapping[str, Answer]]  # by their names in `fail`: throttle, server_error, unauthorized, …
    kinds: ClassVar[Sequence[str]] = ("send",)  # kinds of calls; `fail(on=...)` lets one kind fail

    sender: str  # our address at the provider

    def __init__(self, port: int, *, path: str = "", webhook_url: str = "", deliver_to: str | None = None) -> None:
        """Prepare; nothing listens before `start`.

        `port` 0 takes a free port; `path` is put before the API's own paths. `webhook_url` is the gateway's public URL,
        which signatures cover; `deliver_to` is the base URL (scheme and host) to which webhooks are sent instead.
        """
        self.webhook_url = webhook_url
        self.deliver_to = deliver_to
        self._port = port
        self._path = path
        self._caller = Caller()
        self._lock = threading.Lock()
        self._failing: dict[str, deque[str]] = {kind: deque() for kind in self.kinds}
        self._listeners: list[Callable[[Message], None]] = []
        self.calls: deque[tuple[str, str, bytes]] = deque(maxlen=10_000)  # the latest: method, target and body
        self._stopping = threading.Event()
        self._server: ProviderServer | None = None
        self._phones: ThreadPoolExecutor | None = None

    # --- what a provider adds ---

    @abstractmethod
    def _serve(self, method: str, target: str, authorization: str, body: bytes) -> Answer:
        """Return the answer to one call of the API."""

    def _kind(self, method: str, path: str) -> str:
        """Return the kind of a call, one of `kinds`."""
        return self.kinds[0]

    def _refused(self, code: int) -> Answer:
        """Return the answer of the failure reject:CODE."""
        return Answer(code, {"message": "refused"})

    @abstractmethod
    def send(self, from_: str, text: str, media: Sequence[tuple[str, bytes]] = (), *, call: bool = True) -> Sent:
        """Store a citizen's message, and send its webhook unless `call` is false (as if the webhook were lost)."""

    @abstractmethod
    def replies(self, to: str | None = None) -> Sequence[Message]:
        """Return the messages that the gateway sent, oldest first; with `to`, only those to this number."""

    def _shown(self) -> Sequence[Mapping[str, object]]:
        """Return the messages for another program, oldest first: at least those that the gateway sent."""
        return [{"from": message.from_, "to": message.to, "body": message.body} for message in self.replies()]

    @classmethod
    def _place(cls, address: str, context: ChannelContext) -> tuple[int, str]:
        """Return port and path of a provider's URL. Raises `ValueError` if the URL is on another machine."""
        place = urlsplit(address)
        if place.hostname != "127.0.0.1" or not place.port:
            where = f"{context.region}/{context.channel}"
            raise ValueError(
                f"to simulate {where}, set its {cls.setting} to http://127.0.0.1:PORT; another channel: --channel REGION/NAME"
            )
        return place.port, place.path

    # --- start and stop ---

    @property
    def url(self) -> str:
        """Return the base URL of the API. Raises `RuntimeError` before `start`."""
        return f"{self._base}{self._path}"

    @property
    def _base(self) -> str:
        if not self._port:
            raise RuntimeError("start the simulator first")
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> Self:
        """Listen; raises `OSError` if the port is taken."""
        self._stopping.clear()
        self._server = ProviderServer(self._port, self._answer, self._stopping)
        self._port = self._server.server_port  # the same one after a stop and a start
        self._phones = ThreadPoolExecutor(2, f"{self.name}-phones")
        threading.Thread(target=self._server.serve_forever, args=(0.02,), name=self.name, daemon=True).start()
        return self

    def hang_up(self) -> None:  # noqa: B027  most providers have nothing to do
        """End the calls that wait for the gateway; here nothing, because such a call fails when the gateway ends."""

    def stop(self) -> None:
        """Stop listening and cut open connections; keep the messages."""
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

    def _later(self, work: Callable[[T], None], message: T) -> None:
        """Call `work(message)` on another thread, as a network delivers to the citizen after the API has answered."""
        with suppress(RuntimeError):  # stopped meanwhile: the message is not delivered
            if self._phones is not None:
                self._phones.submit(work, message)

    # --- failures ---

    def fail(self, how: str, *, next: int = 1, on: str = "send") -> None:  # noqa: A002 - plain in calls: next=2
        """Let the next calls of a kind fail.

        `how`: throttle (429), server_error (500), unauthorized (401), reject:CODE (400), timeout (no answer, not
        stored), drop_after_accept (stored, connection closed without an answer), or another name in `failures`.
        `next` is the number of calls, `on` their kind. Raises `ValueError` for an unknown failure or kind.
        """
        known = {**self.failures, **_UNANSWERED}
        if how not in known and not (how.startswith("reject:") and how[7:].isdigit()):
            raise ValueError(f"unknown failure {how!r}; known: {', '.join(known)}, reject:CODE")
        if on not in self._failing:
            raise ValueError(f"unknown call {on!r}; known: {', '.join(self._failing)}")
        with self._lock:
            self._failing[on].extend([how] * next)

    def recover(self) -> None:
        """Cancel the failures that `fail` has planned and that have not happened yet."""
        with self._lock:
            for waiting in self._failing.values():
                waiting.clear()

    def failing(self, on: str = "send") -> int:
        """Return the number of planned failures that have not happened yet."""
        with self._lock:
            return len(self._failing[on])

    def _failure(self, kind: str) -> str:
        """Return the failure that is planned for this call, or an empty string."""
        with self._lock:
            waiting = self._failing[kind]
            return waiting.popleft() if waiting else ""

    def _failed(self, how: str) -> Answer:
        known = {**self.failures, **_UNANSWERED}
        return known[how] if how in known else self._refused(int(how.removeprefix("reject:")))

    # --- the gateway, and other programs ---

    def _call_gateway(self, request: WebhookRequest) -> tuple[int | None, str | None]:
        """Send a webhook; return the HTTP status and the text of a refusal, as `Caller.send`."""
        return self._caller.send(request, self.deliver_to)

    def subscribe(self, listener: Callable[[Message], None]) -> None:
        """Call the listener with every message of the gateway, on the thread that received it."""
        self._listeners.append(listener)

    def _tell(self, message: Message) -> None:
        for listener in self._listeners:
            listener(message)

    def replies_to(self, number: str) -> list[str]:
        """Return the texts that the gateway sent to a number, the oldest first."""
        return [message.body for message in self.replies(number)]

    def replies_elsewhere(self, number: str) -> list[str]:
        """Return the replies to a number that a simulator in another process received; it listens on this port.

        Raises `OSError`, `ValueError` or `LookupError` if the program that listens there is no simulator.
        """
        with requests.Session() as session:
            session.trust_env = False  # never through a proxy: the other process is on this machine
            answer = session.get(f"{self._base}/_simulator/messages", timeout=5)
            answer.raise_for_status()
            shown: list[dict[str, str]] = answer.json()["messages"]
        return [message["body"] for message in shown if (message["from"], message["to"]) == (self.sender, number)]

    def _answer(self, method: str, target: str, authorization: str, body: bytes) -> Answer:
        path = target.partition("?")[0]
        if path.startswith("/_simulator/"):
            return self._control(method, path.removeprefix("/_simulator/"), body)
        self.calls.append((method, target, body))
        how = self._failure(self._kind(method, path))
        if how and how != LOST:
            return self._failed(how)
        answer = self._serve(method, target, authorization, body)
        return self._failed(how) if how and answer.status < 300 else answer

    def _control(self, method: str, name: str, body: bytes) -> Answer:
        """Return the answer to another program's call: GET messages, POST fail, POST send."""
        try:
            command = json.loads(body or b"{}")
            if (method, name) == ("GET", "messages"):
                return Answer(200, {"messages": self._shown()})
            if (method, name) == ("POST", "fail"):
                self.fail(command["how"], next=command.get("next", 1), on=command.get("on", "send"))
                return Answer(200, {"asked": command["how"]})
            if (method, name) == ("POST", "send"):
                sent = self.send(command["from"], command["text"], call=command.get("call", True))
                return Answer(200, {"sid": sent.sid, "status": sent.status, "error": sent.error})
        except (KeyError, TypeError, ValueError) as exc:
            return Answer(400, {"message": f"{type(exc).__name__}: {exc}"})
        return _NOT_HERE


def login(user: str, password: str) -> str:
    """Return the value of the header Authorization for a user name and a password (HTTP Basic, RFC 7617)."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()
