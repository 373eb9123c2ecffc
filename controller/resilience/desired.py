"""What the switches should hold: the one place that puts a `fabric_plan` together.

Shares come from the cycle, shadows from their selection, targets from failovers, generations from
resyncs; whoever changes one of them calls `want` (and `driver.reconcile`, for what has no faster
way to the switches).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from controller.act.shares import ShareWriter
from controller.config import Config
from controller.model import Fabric, FabricPlan, Hop, Idle, Stage, TargetRow
from controller.plan.fabric import fabric_plan
from controller.plan.failover_memory import FailoverState, Pair
from controller.plan.replicas import primary_numbers

MOST_PEERS = 3  # edges that get an edge's records
GENERATIONS = 16


class Driver(Protocol):
    """What is needed of the fabric driver."""

    def want(self, plan: FabricPlan) -> None:
        """Set the desired state."""


def edge_peers(fabric: Fabric) -> dict[str, tuple[str, ...]]:
    """Edge → the next edges of its site, in a ring: they get its replica records."""
    peers: dict[str, tuple[str, ...]] = {}
    edges = fabric.stage(Stage.EDGE)
    for edge in edges:
        here = [other.name for other in edges if other.site == edge.site]
        place = here.index(edge.name)
        others = here[place + 1 :] + here[:place]
        if others:
            peers[edge.name] = tuple(others[:MOST_PEERS])
    return peers


class Desired:
    """Everything that a plan of the fabric is made from."""

    def __init__(
        self,
        config: Config,
        fabric: Fabric,
        driver: Driver,
        writer: ShareWriter,
        shadows: Mapping[str, Sequence[str]],
    ) -> None:
        self.fabric = fabric
        self.targets: dict[str, tuple[str, ...]] = {}
        self.pinned: dict[str, tuple[str, ...]] = {}
        self.numbers: dict[Pair, int] = {}
        self.generations: dict[Pair, int] = {}
        self._hops = {one.name: Hop(one.label, one.mac) for one in fabric.stage(Stage.ROUTER)}
        self._config = config
        self._driver = driver
        self._writer = writer
        self._in_force: dict[tuple[str, int], tuple[int, ...]] = {}
        self._chosen = {name: tuple(own) for name, own in shadows.items()}
        # What others put over every plan, such as the rows of addresses.
        self.layers: list[Callable[[FabricPlan], FabricPlan]] = []

    @property
    def shadows(self) -> dict[str, tuple[str, ...]]:
        """Router → its shadows, edge → its peers, as programmed.

        A router that is away keeps those it had, and has those that stand in for it: they are the
        ones that give back what they hold.
        """
        result = {**edge_peers(self.fabric), **self._chosen}
        for name in {*self.targets, *self.pinned}:
            kept = self.pinned.get(name, result.get(name, ()))
            result[name] = tuple(dict.fromkeys((*kept, *self.targets.get(name, ()))))
        return {name: own for name, own in result.items() if own}

    def choose(self, shadows: Mapping[str, Sequence[str]]) -> set[tuple[str, str]]:
        """Set the shadows; returns the (primary, shadow) pairs that are new."""
        before = self.pairs()
        self._chosen.update({name: tuple(own) for name, own in shadows.items()})
        return self.pairs() - before

    def pairs(self) -> set[tuple[str, str]]:
        """All (primary, shadow)."""
        return {(primary, holder) for primary, own in self.shadows.items() for holder in own}

    def recall(self, state: FailoverState) -> None:
        """Go on from what an earlier run remembered."""
        self.targets, self.pinned = dict(state.targets), dict(state.pinned)
        self.numbers, self.generations = dict(state.numbers), dict(state.generations)

    def memory(self, drained: frozenset[str]) -> FailoverState:
        """What is to be remembered."""
        return FailoverState(drained, self.targets, self.pinned, self.numbers, self.generations)

    def bump(self, holder: str, primary: str) -> int:
        """A new generation of the holder's replicas of that primary."""
        generation = (self.generations.get((holder, primary), 0) + 1) % GENERATIONS
        self.generations[holder, primary] = generation
        return generation

    def number(self, holder: str, primary: str) -> int:
        """What the holder's replicas of that primary are numbered; KeyError when it holds none."""
        return self.numbers[holder, primary]

    def rows(self) -> tuple[TargetRow, ...]:
        """What the bindings mean, on every edge."""
        return tuple(self.row(router) for router in self._hops)

    def row(self, router: str) -> TargetRow:
        """What one router's bindings mean."""
        hops = tuple(self._hops[name] for name in self.targets.get(router) or (router,))
        return TargetRow(self._hops[router].label, hops)

    def start_from(self, in_force: Mapping[tuple[str, int], tuple[int, ...]]) -> None:
        """Slot sets as read back from the switches, for what the share writer does not know of."""
        self._in_force = dict(in_force)

    def want(self) -> None:
        """Tell the driver."""
        config, shadows = self._config, self.shadows
        self.numbers = primary_numbers(self.fabric, shadows, self.numbers)
        slots = {**self._in_force, **self._writer.wanted()}
        shares = {
            (edge, number // 16): {label: float(labels.count(label)) for label in {*labels}}
            for (edge, number), labels in self._writer.wanted().items()
            if number % 16 == 0
        }
        idle = config.idle
        plan = fabric_plan(
            self.fabric,
            idle=Idle(idle.tcp_s, idle.udp_s, idle.opening_s, idle.linger_s),
            sample_one_in=config.digests.sample_one_in,
            shares=shares,
            in_force=slots,
            shadows=shadows,
            targets=self.targets,
            generations=self.generations,
            numbers=self.numbers,
        )
        for layer in self.layers:
            plan = layer(plan)
        self._driver.want(plan)
