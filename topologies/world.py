"""The fabric that loses routers: emulated switches, the real controller in this process, and connections
that talk all the time.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from controller.act.fabric import FabricDriver
from controller.act.program import default_files
from controller.events import ShiftDecided
from controller.model import Fabric, Kind
from topologies.clos import ClosSpec, ServiceSpec, configuration
from topologies.load.conversation import Conversation
from topologies.load.interruption import Interruption, interruption
from topologies.mute import MuteDriver
from topologies.running import READY_S, Running, WorldError

BOUND = 0.98  # of the connections, at least, are bound to their primaries
RENEWALS = 4
RENEWED_S = 4.0  # every client has asked by then, and the next cycle has counted
PATIENCE_S = 30.0  # for replicas to be repaired
CALM_S = 2.0  # losses are looked for once in a cycle, of a second
WRITE_S = 1.2  # talkers write down what happened once a second
CAPACITY = 8000  # of each router: nobody is refused
ANSWER_TIMEOUT_S = 10.0


def fabric_config(directory: Path, *, primaries: Sequence[str], routers: int = 4) -> dict[str, Any]:
    """Two edges, two spines, `routers` routers, four backends, two client hosts; one service on `primaries`."""
    settings: dict[str, Any] = {
        "cycle": {"predictive": False, "surge": False},  # nothing but failover moves traffic
        "store": {"path": str(directory / "umbra.db")},
        "audit": {"path": str(directory / "audit.jsonl")},
        "api": {"port": 0},
        "digests": {"sample_one_in": 1024},
    }
    return configuration(
        ClosSpec(
            routers=routers,
            clients=2,
            capacity=CAPACITY,
            threshold=100,
            services=(ServiceSpec("web", routers=tuple(primaries)),),
            settings=settings,
        )
    )


def _mute(fabric: Fabric) -> FabricDriver:
    return MuteDriver(fabric, default_files())


class World(Running):
    """Runs while the `async with` block does."""

    def __init__(
        self,
        kind: str,
        directory: Path,
        *,
        seed: int,
        connections: int,
        primaries: Sequence[str] = ("r1",),
        replicate: bool = True,
        life_s: float = 0.0,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        say: Callable[[str], None] = lambda _message: None,
    ) -> None:
        config = fabric_config(directory, primaries=primaries)
        super().__init__(config, kind, directory, driver=None if replicate else _mute, say=say)
        self.primaries = tuple(primaries)
        self.connections = connections
        self.talk = Conversation(
            self.network,
            config,
            directory / "load",
            service=1,
            connections=connections,
            seed=seed,
            life_s=life_s,
            answer_timeout_s=answer_timeout_s,
        )
        self._answer_timeout_s = answer_timeout_s

    def begun(self) -> None:
        """The load begins."""
        self.say("starting the load")
        self.talk.start()

    def poll(self) -> None:
        """Take in what the load's programs report."""
        self.talk.poll()

    def told(self) -> str:
        """The state in words."""
        troubles = [f"{name}: {text}" for name, text in self.open_troubles().items()]
        what = "; ".join([*self.lacking(), *troubles]) or "nothing else is wrong"
        return f"{self.talk.live()} connections live, {self.live_on()} by router; {what}"

    def live_on(self) -> dict[str, int]:
        """Connections that each router owns, by its counters (as of the last cycle)."""
        return {name: sample.live for name, sample in self.controller.cycle.samples.items()}

    async def counted(self) -> None:
        """Wait until every counter has been read once more."""
        number = self.controller.cycle.number
        await self.until(lambda: self.controller.cycle.number > number + 1, "counters are read")

    async def settled(self) -> bool:
        """Everybody talks, every router is home, the primaries hold nearly all connections; and then, with
        some patience, until no shadow lacks anything. Returns whether that came.

        Connections that were opened while a primary was away stay where they were opened: they are renewed.
        """
        for _ in range(RENEWALS):
            await self.until(lambda: self.talk.live() >= self.connections, "everybody talks")
            await self.home()
            calm = await self.calm(PATIENCE_S)
            own = self.live_on()
            if sum(own.get(name, 0) for name in self.primaries) >= BOUND * self.connections:
                return calm
            self.say("renewing the connections")
            self.talk.renew()
            await self.rest(RENEWED_S)
        raise WorldError(f"{', '.join(self.primaries)} do not hold the connections; {self.told()}")

    async def calm(self, patience_s: float) -> bool:
        """Wait until nothing is left to be repaired, and nothing more turns up for a while."""
        since_s = float("inf")
        deadline_s = time.monotonic() + patience_s

        def over() -> bool:
            nonlocal since_s
            now_s = time.monotonic()
            since_s = min(since_s, now_s) if self.in_sync() else float("inf")
            return now_s - since_s >= CALM_S or now_s > deadline_s

        await self.until(over, "every shadow holds its replicas", patience_s + READY_S)
        return since_s < float("inf")

    def resync(self) -> None:
        """Have every primary send all its connections to all its shadows."""
        resilience = self.controller.resilience
        for primary, own in resilience.desired.shadows.items():
            for shadow in own:
                resilience.resync.want(primary, shadow, "a comparison follows")

    def in_sync(self) -> bool:
        """Every router lives and has its traffic, and no shadow lacks anything that is known."""
        return not self.lacking()

    def lacking(self) -> list[str]:
        """What keeps the fabric from being in sync, in words."""
        pairs = self.controller.resilience.resync.pairs.values()
        return self.astray() + [
            f"replicas of {one.primary} on {one.shadow}: {one.status} ({one.reason})"
            for one in pairs
            if one.status != "synced"
        ]

    def shadows(self, name: str) -> tuple[str, ...]:
        """The routers that hold a router's replicas."""
        return self.controller.resilience.desired.shadows.get(name, ())

    async def drain(self, name: str) -> float:
        """`umbra router drain`; returns, when its shadows have all of it, the moment of the order (monotonic)."""
        at_s = time.monotonic()
        self.controller.drain(name)
        resilience = self.controller.resilience

        def drained() -> bool:
            move = resilience.failover.moves.get(name)
            return (
                move is not None and move.step == "drained" and name in resilience.desired.targets
            )

        await self.until(drained, f"{name} is drained")
        return at_s

    async def undrain(self, name: str) -> None:
        """`umbra router undrain`; returns when it has its connections back."""
        self.controller.undrain(name)
        await self.home()

    def _decided(self, name: str, kind: Kind, since_s: float) -> tuple[float, ShiftDecided] | None:
        for at_s, event in self.events:
            if at_s >= since_s and isinstance(event, ShiftDecided):
                decision = event.decision
                if decision.router == name and decision.kind is kind:
                    return at_s, event
        return None

    def failover_times(self, name: str, at_s: float) -> dict[str, Any]:
        """How long after a crash the controller acted (`detect_ms`), and how long it then took until
        every edge had the bindings (`write_ms`); empty when it did not.
        """
        found = self._decided(name, Kind.FAILOVER, at_s)
        if found is None:
            return {}
        told_s, event = found
        inputs = event.decision.inputs
        shares_ms, bindings_ms = float(inputs["shares_ms"] or 0), float(inputs["bindings_ms"] or 0)
        return {
            "detect_ms": round(1e3 * (told_s - at_s) - shares_ms, 1),
            "write_ms": round(bindings_ms, 1),
            "because": event.decision.reason,
        }

    def hush(self, stop: bool) -> None:
        """Stop all clients where they are (SIGSTOP), or let them go on."""
        self.talk.hush(stop)

    async def rescue(self, name: str) -> None:
        """After a run that was given up: have the router run, in service."""
        if not self.network.switch(name).alive():
            await self.restart(name)
        if name in self.controller.resilience.stand_ins.drained:
            await self.undrain(name)

    def pause(self, name: str, stop: bool) -> None:
        """SIGSTOP a switch, or SIGCONT it."""
        process = self.network.switch(name).process
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP if stop else signal.SIGCONT)

    async def aftermath(self, at_s: float, least_s: float) -> Interruption:
        """Wait until whatever was struck has been answered or given up, and say what happened."""
        await self.rest(least_s)
        await self.until(
            lambda: self.talk.waiting_since_s() > at_s + least_s / 2,
            "the last request from before is answered or given up",
            self._answer_timeout_s + 5.0,
        )
        until_s = time.monotonic()
        await self.rest(WRITE_S)
        return interruption(self.talk.exchanges(at_s), self.talk.lives(), at_s, until_s)
