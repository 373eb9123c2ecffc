"""A controller without switches that turns, and serves its API, in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from controller import daemon
from controller.config import Config
from controller.daemon import Controller
from controller.serve.host import serve

PATIENCE_S = 30.0


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_for(what: Callable[[], bool], words: str) -> None:
    """Fails with `words`."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline_s, f"did not happen: {words}"
        time.sleep(0.02)


@contextmanager
def served(config: Config, turning: Callable[[httpx.Client], bool]) -> Iterator[httpx.Client]:
    """A client of its API, once the controller is `turning`."""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def main() -> None:
        await serve(Controller(config), config.api, "1.2.3", stop)

    def turns(client: httpx.Client) -> bool:
        try:
            return turning(client)
        except httpx.TransportError:  # it does not listen yet
            return False

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(daemon, "FIRST_CONTACT_S", 0.1)  # no switch will come
        thread.start()
        try:
            base = f"http://127.0.0.1:{config.api.port}/api/v1/"
            with httpx.Client(base_url=base, trust_env=False) as client:
                wait_for(lambda: turns(client), "the first turns")
                yield client
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(PATIENCE_S)
            loop.close()
