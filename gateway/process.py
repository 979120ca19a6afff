"""Run one process of a gateway: web server, stages and jobs, until a signal ends it."""

from __future__ import annotations

import errno
import gc
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence

import uvicorn
from a2wsgi import WSGIMiddleware

from gateway import __version__
from gateway.bootstrap import Gateway
from gateway.domain.errors import GatewayError, Misconfigured, Unavailable
from gateway.domain.texts import text
from gateway.observe.logs import log
from gateway.runtime.worker import Worker
from gateway.web.door.express import express_protocol
from gateway.web.door.front_door import FrontDoor
from gateway.web.operator.app import create_app

_FLASK_THREADS = 4
_CLOSING_TIME = 1.0  # seconds to close connections, after the time for work in flight


class Process:
    """One process of a gateway; it runs until SIGTERM or SIGINT, and then finishes its work in flight."""

    def __init__(
        self, gateway: Gateway, *, listen: bool, stages: Sequence[str], jobs: bool, share_port: bool = False
    ) -> None:
        self._gateway = gateway
        self._listen = listen
        self._jobs = jobs
        self._share_port = share_port
        chosen = [stage for name, stage in gateway.stages.items() if name in stages]
        self._worker = Worker(chosen, gateway.settings.gateway.work.idle) if chosen else None
        # The process that sends replies and runs the jobs also holds connections, because replies are sent on them.
        self._holds_lines = jobs and "acknowledge" in stages
        self._deadline: float | None = None  # time.monotonic()

    def run(self, ready: Callable[[int | None], None] = lambda port: None) -> None:
        """Run until a signal; call `ready` once, with the port or `None`.

        Raises `Unavailable` if another program has the port, `Misconfigured` if the address can never be used.
        """
        # The port first: a process that cannot listen must not call a provider.
        listener = self._listener_or_close() if self._listen else None
        _tune_garbage_collector()
        self._gateway.jobs.start(self._gateway.polled if self._jobs else [], purge=self._jobs)
        if self._worker:
            self._gateway.committer.on_commit = self._worker.wake
            self._worker.start()
        if self._holds_lines:
            self._gateway.lines.start()
        try:
            if listener is not None:
                self._serve(listener, ready)
            else:
                self._wait(ready)
        finally:
            self._stop()

    def _listener_or_close(self) -> socket.socket:
        """Return the listening socket; close the gateway if that fails. Raises `Unavailable` or `Misconfigured`."""
        try:
            return self._listener()
        except GatewayError:
            self._gateway.close()
            raise

    def _serve(self, listener: socket.socket, ready: Callable[[int | None], None]) -> None:
        server = self._gateway.settings.gateway.server
        door = self._front_door()
        config = uvicorn.Config(
            door,
            http=express_protocol(door, server.max_header_bytes, server.header_timeout, server.body_timeout),
            loop="uvloop",
            ws="none",
            lifespan="off",
            interface="asgi3",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,  # the public URL is configured, never taken from a request
            timeout_keep_alive=int(server.keep_alive),
            timeout_graceful_shutdown=int(server.shutdown_timeout),
        )
        # When uvicorn ends, it sends the signal again to the handler that was set before. The default handler would end
        # this process before it has finished its work, so set one that does nothing.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        _Server(config, self._gateway, ready, self._begin_end).run(sockets=[listener])

    def _listener(self) -> socket.socket:
        """Return the listening socket; with a shared port the kernel distributes connections among the processes."""
        server = self._gateway.settings.gateway.server
        family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._share_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            listener.bind((server.host, server.port))
        except OSError as exc:
            listener.close()
            place = f"{server.host}:{server.port}"
            if exc.errno == errno.EADDRINUSE:
                raise Unavailable(
                    text(
                        "cannot listen on {place}: another program has it (see: ss -ltnp); stop it, or change [server] "
                        "port in gateway.toml",
                        place=place,
                    )
                ) from exc
            raise Misconfigured(
                text(
                    "cannot listen on {place}: {cause}; change [server] host or port in gateway.toml",
                    place=place,
                    cause=exc.strerror,
                )
            ) from exc
        listener.listen(2048)
        return listener

    def _front_door(self) -> FrontDoor:
        gateway, server = self._gateway, self._gateway.settings.gateway.server
        return FrontDoor(
            gateway.channels,
            gateway.receiver,
            gateway.metrics,
            gateway.activity,
            gateway.spool.clock,
            WSGIMiddleware(create_app(gateway), workers=_FLASK_THREADS),  # type: ignore[arg-type]
            public_url=server.public_url,
            max_body=server.max_body_bytes,
            trusted_proxies=server.trusted_proxies,
        )

    def _wait(self, ready: Callable[[int | None], None]) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        ready(None)
        stop.wait()
        self._begin_end()

    def _begin_end(self) -> None:
        """Set the deadline after a signal: all work in flight must end within `shutdown_timeout`."""
        timeout = self._gateway.settings.gateway.server.shutdown_timeout
        self._deadline = time.monotonic() + timeout
        # Python waits for every thread before it ends, and a call to a slow provider may take long. An exit during the
        # call is safe: the lease ends, and the reply is looked up before it is sent again.
        exit_timer = threading.Timer(timeout + _CLOSING_TIME, os._exit, [0])
        exit_timer.daemon = True
        exit_timer.start()

    def _stop(self) -> None:
        left = self._deadline - time.monotonic() if self._deadline else 0.0  # 0 without a signal: the start failed
        if self._worker and not self._worker.stop(max(left, _CLOSING_TIME / 2)):
            log.warning("work unfinished", reason="its lease will end, and another worker will take it over")
        self._gateway.lines.stop(_CLOSING_TIME * 2)
        self._gateway.jobs.stop()
        self._gateway.close()
        log.info("stopped")


def _tune_garbage_collector() -> None:
    """Exclude the imported modules from garbage collection, and run it less often.

    To visit the modules again and again costs a quarter of the work. Batches make many objects and few cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


class _Server(uvicorn.Server):
    """uvicorn's server. Calls `ready` when it listens and `ending` when it ends, and then finishes the commits."""

    def __init__(
        self,
        config: uvicorn.Config,
        gateway: Gateway,
        ready: Callable[[int | None], None],
        ending: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._gateway = gateway
        self._ready = ready
        self._ending = ending

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        log.info("listening", host=host, port=port, version=__version__)
        self._ready(port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._ending()
        await super().shutdown(sockets)
        await self._gateway.commit.close()
