"""Runs a controller together with its API until told to stop: what the daemon and Ryu share."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Protocol

from controller.serve.access import decide
from controller.serve.app import make_app
from controller.serve.control import Control
from controller.serve.server import ApiServer

LOG = logging.getLogger("umbra.serve")


class Runnable(Control, Protocol):
    """A controller that can be run."""

    async def run(self) -> None:
        """Turn the loop until `stop`."""

    async def stop(self) -> None:
        """End `run` and leave the switches forwarding as they are."""


class ApiSettings(Protocol):
    """Where the API listens."""

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...

    @property
    def token_file(self) -> str | None: ...


async def serve(
    controller: Runnable,
    settings: ApiSettings,
    version: str,
    stop: asyncio.Event,
    started: asyncio.Event | None = None,
) -> None:
    """Run `controller` and its API until `stop` is set or the controller ends.

    AccessError or ServeError if the API cannot be served: then nothing else was started. Whatever
    ends the controller with an error ends this with the same error, after the API has stopped.
    """
    token_file = Path(settings.token_file) if settings.token_file else None
    access = decide(settings.host, token_file)
    api = ApiServer(make_app(controller, access, version), settings.host, settings.port)
    await api.start()
    running = asyncio.create_task(controller.run(), name="umbra-controller")
    stopping = asyncio.create_task(stop.wait(), name="umbra-stop")
    if started is not None:
        started.set()
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await stopping
        await api.stop()
        await controller.stop()
        await running
