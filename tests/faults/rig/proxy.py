"""A TCP proxy on this machine that loses answers: what was asked has arrived, what was answered never comes back."""

from __future__ import annotations

import random
import re
import socket
import struct
import threading
from contextlib import suppress
from typing import Self

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset


class Proxy:
    """Passes bytes between its own port and another, until it is told to cut."""

    def __init__(self, target: int, seed: int = 0, port: int = 0) -> None:
        """`target` is a port on 127.0.0.1; so is `port`, its own, 0 for a free one."""
        self._target, self._rng = target, random.Random(seed)
        self._pattern, self._share, self._await_answer = re.compile(b""), 0.0, True
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self.cuts = 0
        self._flowing = threading.Event()
        self._flowing.set()
        self._thread = threading.Thread(target=self._listen, name="proxy")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.mend()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for end in self._open:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)

    def cut(self, pattern: bytes, *, share: float, await_answer: bool = True) -> None:
        """Cut a connection after it carried the pattern (a regular expression) to the target; of those that do, so many.

        With `await_answer` the target has answered when the cut comes, so what was asked for has surely happened.
        Without, the cut comes as soon as the bytes are on their way.
        """
        self._pattern, self._share, self._await_answer = re.compile(pattern), share, await_answer

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
                    server.sendall(chunk)
                    if not self._await_answer:
                        _reset(client)
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
                    _reset(client)
                    return
                client.sendall(chunk)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def _strikes(self) -> bool:
        with self._lock:
            strikes = self._rng.random() < self._share
            self.cuts += strikes
            return strikes


def _reset(end: socket.socket) -> None:
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        end.shutdown(socket.SHUT_RDWR)
        end.close()
