"""The API's server: uvicorn inside a loop that somebody else runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

LOG = logging.getLogger("umbra.serve")

MAX_CONCURRENT = 64
MAX_HEADER_BYTES = 16 * 1024


class ServeError(OSError):
    """The API cannot listen; the message names the address and the remedy."""


class _QuietServer(uvicorn.Server):
    """uvicorn that leaves signals to the daemon: both would otherwise want SIGINT and SIGTERM."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, bound before anything else starts: a taken port shows at once."""
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise ServeError(
            f"api.host {host}: {error.strerror}; use an address of this machine"
        ) from error
    family, _, _, _, address = infos[0]
    # With the protocol left at 0, asyncio would not switch Nagle's algorithm off for connections
    # accepted here, and every answer would wait 40 ms for the client's delayed acknowledgement.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(MAX_CONCURRENT)
    except OSError as error:
        sock.close()
        raise ServeError(
            f"api {host}:{port}: {error.strerror}; stop what listens there (ss -ltnp "
            f"'sport = {port}') or set another api.port"
        ) from error
    sock.setblocking(False)
    return sock


class ApiServer:
    """Serves `app` on one address while the surrounding loop goes on with its work."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._server: _QuietServer | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where the API is served; with port 0 the port that the system chose, once started."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    async def start(self) -> None:
        """Listen and serve. ServeError if the address cannot be used."""
        sock = listen(self._host, self._port)
        self._port = sock.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            limit_concurrency=MAX_CONCURRENT,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=2,
        )
        self._server = _QuietServer(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[sock]), name="umbra-api")
        while not self._server.started:
            if self._task.done():
                sock.close()
                self._task.result()
                raise ServeError(
                    f"api {self._host}:{self._port}: the server ended before it served"
                )
            await asyncio.sleep(0.01)
        LOG.info("API on %s/api/v1", self.url)

    async def stop(self) -> None:
        """Finish the requests under way (at most two seconds) and stop listening."""
        if self._server is None or self._task is None:
            return
        self._server.should_exit = True
        await self._task
        self._server = None
        self._task = None
