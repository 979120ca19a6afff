"""A TCP proxy on this machine that loses answers: what was asked has arrived, what was answered never comes back."""

from __future__ import annotations

import random
import re
import socket
import threading
from contextlib import suppress
from typing import Self

LOSSES = ("the answer", "whatever follows", "the question", "the line")


class Proxy:
    """Passes bytes between its own port and another, until it is told to cut."""

    def __init__(self, target: int, seed: int = 0, port: int = 0) -> None:
        """`target` is a port on 127.0.0.1; so is `port`, its own, 0 for a free one."""
        self._target, self._rng = target, random.Random(seed)
        self._pattern, self._share, self._loses = re.compile(b""), 0.0, ""
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self.cuts = 0
        self._flowing = threading.Event()
        self._flowing.set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="proxy")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.mend()
        self._ended.set()
        _hang_up(self._listener)
        self._listener.close()
        with self._lock:
            for end in self._open:
                _hang_up(end)
        self._thread.join(10)

    def cut(self, pattern: bytes, *, share: float, loses: str) -> None:
        """Cut connections over which the pattern (a regular expression) is sent: of those that do, so many.

        `loses` says what is lost: "the answer" means that the target has answered, so what was asked for has surely
        happened; "whatever follows" that it is on its way when the cut comes; "the question" that it never arrives;
        "the line" that the question arrives and after it nothing any more, in either direction, nor word of an end.
        """
        assert loses in LOSSES
        self._pattern, self._share, self._loses = re.compile(pattern), share, loses

    def hold(self) -> None:
        """Keep every connection open and let nothing through, in either direction."""
        self._flowing.clear()

    def mend(self) -> None:
        """Cut and hold no more."""
        self._share = 0.0
        self._flowing.set()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), name="proxied", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._target), timeout=10)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        with self._lock:
            self._open |= {client, server}
        doomed = threading.Event()
        back = threading.Thread(target=self._back, args=(server, client, doomed), name="proxied back", daemon=True)
        back.start()
        with suppress(OSError):
            while chunk := client.recv(65_536):
                self._flowing.wait()
                if self._share and self._pattern.search(chunk) and self._strikes():
                    doomed.set()  # before the target can answer
                    if self._loses == "whatever follows":
                        server.sendall(chunk)
                    if self._loses in ("whatever follows", "the question"):
                        _hang_up(client)
                        _hang_up(server)
                        break
                server.sendall(chunk)
            else:
                server.shutdown(socket.SHUT_WR)
        back.join(30)
        with self._lock:
            self._open -= {client, server}
        for end in (client, server):
            end.close()

    def _back(self, server: socket.socket, client: socket.socket, doomed: threading.Event) -> None:
        with suppress(OSError):
            while chunk := server.recv(65_536):
                self._flowing.wait()
                if doomed.is_set():  # the answer has come this far, and no farther
                    if self._loses == "the line":
                        self._ended.wait()
                    _hang_up(client)
                    return
                client.sendall(chunk)
        _hang_up(client)

    def _strikes(self) -> bool:
        with self._lock:
            strikes = self._rng.random() < self._share
            self.cuts += strikes
            return strikes


def _hang_up(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
