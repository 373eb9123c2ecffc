"""An emulated fabric and the real controller in this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack
from pathlib import Path
from typing import Any, Self

import yaml

from controller.act.fabric import FabricDriver
from controller.config import parse
from controller.daemon import Controller
from controller.events import Event
from controller.model import Fabric
from controller.plan.liveness import Status
from topologies.logged import logged
from topologies.net import Network

POLL_S = 0.05
READY_S = 60.0
HOME_S = 120.0  # for a router to come home
DEAD, RETURNING = Status.DEAD, Status.RETURNING


class WorldError(RuntimeError):
    """The fabric did not become what the measurement needs."""


class Running(AbstractAsyncContextManager["Running"]):
    """Runs while the `async with` block does; every switch is programmed when it begins.

    driver: makes one that replaces the controller's own.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        kind: str,
        directory: Path,
        *,
        driver: Callable[[Fabric], FabricDriver] | None = None,
        say: Callable[[str], None] = lambda _message: None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.config = config
        self.directory = directory
        self.network = Network(config, kind, directory)
        parsed = parse(yaml.safe_dump(dict(config)))
        self.controller = Controller(
            parsed, driver=None if driver is None else driver(parsed.fabric())
        )
        self.events: list[tuple[float, Event]] = []
        self.say = say
        self._stack = ExitStack()
        self._turning: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._stack.enter_context(logged(self.directory / "umbra.log"))
        try:
            self.say("building the fabric")
            self.network.start()
            self.controller.subscribe(lambda event: self.events.append((time.monotonic(), event)))
            self._turning = asyncio.create_task(self.controller.run())
            await self.until(self._programmed, "every switch is programmed")
            self.begun()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def _end(self) -> None:
        try:
            if self._turning is not None:
                await self.controller.stop()
                await self._turning
        finally:
            self.network.stop()
            self._stack.close()

    async def restart_controller(self) -> None:
        """End the controller in good order, and begin another one; the fabric goes on."""
        assert self._turning is not None
        await self.controller.stop()
        await self._turning
        self.controller = Controller(self.controller.config)
        self._turning = asyncio.create_task(self.controller.run())

    def begun(self) -> None:
        """Called once, when every switch is programmed."""

    def poll(self) -> None:
        """Called all the time while something is waited for."""

    def told(self) -> str:
        """The state in words, for when something is waited for in vain."""
        return "; ".join(f"{name}: {text}" for name, text in self.open_troubles().items())

    def _programmed(self) -> bool:
        return all(status.reconciled for status in self.controller.driver.status().values())

    async def until(
        self, condition: Callable[[], bool], what: str, timeout_s: float = READY_S
    ) -> None:
        """Wait until it holds, while programs and controller go on; WorldError when it does not."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            if self._turning is not None and self._turning.done():
                self._turning.result()
                raise WorldError("the controller ended")
            if time.monotonic() > deadline_s:
                raise WorldError(f"waited {timeout_s:g} s in vain until {what}; {self.told()}")
            self.poll()
            await asyncio.sleep(POLL_S)

    async def rest(self, seconds: float) -> None:
        """Let the world turn for a while."""
        end_s = time.monotonic() + seconds
        await self.until(lambda: time.monotonic() >= end_s, "the time is over", seconds + READY_S)

    def open_troubles(self) -> Mapping[str, str]:
        """What the controller complains of."""
        return {key: str(text) for key, text in self.controller.troubles.open.items()}

    async def home(self) -> None:
        """Wait until every router lives and has its traffic."""
        await self.until(lambda: not self.astray(), "every router has its connections", HOME_S)

    def astray(self) -> list[str]:
        """Routers that are dead, drained or on their way, in words."""
        resilience = self.controller.resilience
        lives = resilience.health.liveness.all() if resilience.health is not None else {}
        return [
            *(f"{name} is {s.value}" for name, s in lives.items() if s in (DEAD, RETURNING)),
            *(f"{name} is away" for name in resilience.desired.targets),
            *(f"{name}: {move.step}" for name, move in resilience.failover.moves.items()),
        ]

    def crash(self, name: str) -> float:
        """kill -9 of a switch; the moment (monotonic). Does not wait: controller and load go on."""
        process = self.network.switch(name).process
        assert process is not None
        at_s = time.monotonic()
        process.kill()
        return at_s

    async def restart(self, name: str) -> None:
        """Start a dead switch again, empty; returns when it listens."""
        switch = self.network.switch(name)
        await self.until(lambda: not switch.alive(), f"{name} is dead")
        switch.start()
        await self.until(switch.connected, f"{name} listens")
