"""The comparisons that run: counts both arms once a cycle, has the planner judge, and gives the variant its share.

A variant that is taken back loses its share at once; its connections stay where they are until they end. What runs ends
with the controller: after a restart nothing is known of the time between, and every variant's share is 0.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from controller.ab.probes import ArmProbes
from controller.model import NodeCounters
from controller.plan.ab import (
    Arm,
    Block,
    Experiment,
    Rules,
    State,
    begin,
    report,
    share_pct,
    step,
    wait,
)
from controller.plan.ab.values import Metric

LOG = logging.getLogger("umbra.ab")
SOURCE = "ab"
KEPT = 50  # comparisons that have ended
Parts = tuple[tuple[str, float], ...]
Order = Callable[[str, Mapping[str, Parts]], Awaitable[Any]]
Note = Callable[[float, Mapping[str, Any]], None]


class ComparisonRefused(Exception):
    """A comparison cannot be started or stopped: "what; remedy"."""


@dataclass(slots=True)
class _Running:
    experiment: Experiment
    rules: Rules
    ordered_pct: float = 0.0  # of the planner's shares, as brought into force
    settled: bool = False  # the same share was in force since the last counts
    before: tuple[NodeCounters, NodeCounters] | None = None
    probed: dict[str, Arm] = field(default_factory=dict)  # by router, since then

    @property
    def pair(self) -> tuple[str, str]:
        return self.experiment.primary, self.experiment.variant


class Comparisons:
    """base: service → router → percent of its new connections, in whole slots. counters: of the newest reading. fit:
    why a router cannot take connections now, None when it can. shadows: of devices (`resources.devices`). in_force:
    what is ordered by now.
    """

    def __init__(
        self,
        rules: Rules,
        base: Mapping[int, Mapping[str, float]],
        routers: Collection[str],
        probes: ArmProbes,
        counters: Callable[[], Mapping[str, NodeCounters]],
        fit: Callable[[str], str | None],
        shadows: Callable[[], Collection[str]],
        order: Order,
        in_force: Callable[[], Mapping[str, Parts]],
        note: Note,
        clock: Callable[[], float],
        dry: Callable[[], bool],
    ) -> None:
        self.probes = probes
        self._rules = rules
        self._base = base
        self._routers = tuple(routers)
        self._counters = counters
        self._fit = fit
        self._shadows = shadows
        self._order = order
        self._in_force = in_force
        self._note = note
        self._clock = clock
        self._dry = dry
        self._running: dict[str, _Running] = {}  # by primary
        self._ended: list[dict[str, Any]] = []

    def start(
        self,
        primary: str,
        variant: str,
        *,
        shares_pct: tuple[float, ...] | None = None,
        better_on: str | None = None,
        longest_s: float | None = None,
    ) -> dict[str, Any]:
        """Begin, from the next cycle on; rules that are not given are those of the section `ab`. Raises
        ComparisonRefused.
        """
        self._check(primary, variant)
        rules = self._rules
        try:
            if shares_pct is not None:
                rules = replace(rules, shares_pct=tuple(shares_pct))
            if better_on is not None:
                rules = replace(rules, better_on=Metric(better_on))
            if longest_s is not None:
                rules = replace(rules, longest_s=longest_s)
        except ValueError as error:
            raise ComparisonRefused(f"{error}; correct it") from error
        now_s = self._clock()
        running = _Running(begin(primary, variant, now_s, rules), rules)
        self._running[primary] = running
        self.probes.pairs.add(running.pair)
        self._tell(running, "began")
        return self._report(running)

    async def stop(self, primary: str) -> dict[str, Any]:
        """End it: the variant's share is 0. A fit variant that still has its share loses it, too. Raises
        ComparisonRefused.
        """
        running = self._running.get(primary)
        if running is None:
            names = ", ".join(self._running) or "none runs"
            raise ComparisonRefused(f"no comparison with {primary} runs; running: {names}")
        if running.experiment.state is State.RUNNING:
            running.experiment = self._end(running, State.UNDECIDED, "a person stopped it")
        else:
            running.experiment = replace(running.experiment, reason="a person ended its share")
        self._tell(running, "stopped")
        self._forget(running)
        await self._bring()
        return self._ended[-1]

    def state(self) -> dict[str, Any]:
        """JSON-able (`serve/resource_schemas.ComparisonsState`)."""
        return {
            "running": [self._report(one) for one in self._running.values()],
            "ended": self._ended[::-1],
        }

    def variants(self) -> frozenset[str]:
        """Routers that get nothing but their share of a comparison."""
        return frozenset(one.experiment.variant for one in self._running.values())

    async def turn(self) -> None:
        """Once a cycle: count, judge, and bring shares into force. What is in force without a comparison, as of an
        earlier run, is taken back.
        """
        if not self._running and not self._in_force():
            return
        for running in list(self._running.values()):
            self._look(running)
        await self._bring()

    def _look(self, running: _Running) -> None:
        primary, variant = running.pair
        now_s, before = self._clock(), running.experiment
        unfit = self._fit(variant)
        arms = self._arms(running)
        if before.state is not State.RUNNING:
            if unfit is not None:  # it was fit, and has its share until someone decides
                running.experiment = self._end(running, State.ROLLED_BACK, unfit)
                self._tell(running, State.ROLLED_BACK.value)
                self._forget(running)
            return
        if unfit is not None:
            running.experiment = self._end(running, State.ROLLED_BACK, unfit)
        elif arms is not None:
            # What was counted while a share changed is of no share: it is left out.
            pct = share_pct(before, running.rules) if running.settled else math.nan
            seen = Block(now_s, pct, arms[primary], arms[variant])
            running.experiment = step(before, seen, running.rules)
        else:  # routers that tell nothing new must not hold up its end
            none = Arm()
            so_far = (running.probed.get(name, none) for name in running.pair)
            running.experiment = wait(before, Block(now_s, math.nan, *so_far), running.rules)
        after = running.experiment
        if after.state is not State.RUNNING:
            self._tell(running, after.state.value)
            if after.state is not State.FIT:
                self._forget(running)
        elif after.stage != before.stage:
            self._tell(running, "raised")

    def _arms(self, running: _Running) -> dict[str, Arm] | None:
        """Both arms since the last counts; None without new ones of both."""
        for name, arm in self.probes.collect(running.pair).items():
            running.probed[name] = running.probed.get(name, Arm()) + arm
        counters = self._counters()
        found = tuple(counters.get(name) for name in running.pair)
        one, other = found
        before = running.before
        if one is None or other is None:
            return None
        if before is not None and not all(
            new.time_s > old.time_s for new, old in zip((one, other), before, strict=True)
        ):
            return None
        running.before = (one, other)
        probed, running.probed = running.probed, {}
        if before is None:
            return None
        arms = {}
        for name, new, old in zip(running.pair, (one, other), before, strict=True):
            opened, refused = (_total(new, what) - _total(old, what) for what in _COUNTED)
            if opened < 0 or refused < 0:  # it started anew
                running.settled = False
                opened = refused = 0
            arms[name] = probed[name] + Arm(connections=opened + refused, refused=refused)
        return arms

    async def _bring(self) -> None:
        """The shares that follow, into force; a dry run writes nothing."""
        wanted = {name: share_pct(one.experiment, one.rules) for name, one in self._running.items()}
        orders = {
            name: ((self._running[name].experiment.variant, self._slots(name, pct)),)
            for name, pct in wanted.items()
            if pct > 0
        }
        written = await self._order(SOURCE, orders)
        late, in_force = bool(written is not None and written.failed), self._in_force()
        for name, pct in wanted.items():
            running = self._running.get(name)
            if running is not None:
                # Nothing is brought into force in a dry run, or of a router that a person has frozen.
                failed = late or in_force.get(name, ()) != orders.get(name, ())
                running.settled = running.ordered_pct == pct and not failed
                running.ordered_pct = math.nan if failed else pct

    def _slots(self, primary: str, pct: float) -> float:
        """The percent of a primary's base share that is nearest to `pct` in whole slots, at least one slot."""
        base = max((own.get(primary, 0.0) for own in self._base.values()), default=0.0)
        if base <= 0 or pct <= 0:
            return pct
        return 100.0 * min(base, max(1, round(pct * base / 100.0))) / base

    def _check(self, primary: str, variant: str) -> None:
        for name in (primary, variant):
            if name not in self._routers:
                known = ", ".join(self._routers)
                raise ComparisonRefused(f"there is no router {name}; there are {known}")
            if name in self._shadows():
                what = f"{name} is a shadow of resources.devices, which gives it limits and traffic"
                raise ComparisonRefused(f"{what}; name a router that is not, or take it out there")
        if self._dry():
            raise ComparisonRefused("a dry run writes nothing; end it first (umbra dry-run off)")
        serving = {name for own in self._base.values() for name, pct in own.items() if pct}
        if primary not in serving:
            raise ComparisonRefused(f"{primary} is primary of no service; name one that is")
        if variant in serving:
            what = f"{variant} is primary of a service: it has traffic of its own"
            raise ComparisonRefused(f"{what}; name a router that no service names")
        for one in self._running.values():
            if {primary, variant} & {*one.pair}:
                what = f"{' and '.join(one.pair)} are being compared"
                raise ComparisonRefused(f"{what}; end that first (umbra ab stop {one.pair[0]})")
        unfit = self._fit(variant)
        if unfit is not None:
            raise ComparisonRefused(f"{unfit}; start it, and look at umbra status")

    def _end(self, running: _Running, state: State, reason: str) -> Experiment:
        own, now_s = running.experiment, self._clock()
        return replace(own, state=state, reason=reason, decided_s=now_s, open=None, opened_s=None)

    def _forget(self, running: _Running) -> None:
        ended = {**self._report(running), "share_pct": 0.0}
        self._running.pop(running.experiment.primary, None)
        self.probes.drop(running.pair)
        self._ended = [*self._ended, ended][-KEPT:]

    def _report(self, running: _Running) -> dict[str, Any]:
        """With the share that the planner's is in whole slots."""
        told = report(running.experiment, running.rules)
        return told | {"share_pct": self._slots(told["primary"], told["share_pct"])}

    def _tell(self, running: _Running, what: str) -> None:
        told, now_s = self._report(running), self._clock()
        number = f"{int(told['began_s'] * 1000)}-{told['primary']}-ab-{what.replace(' ', '-')}"
        LOG.info("%s against %s %s: %s", told["variant"], told["primary"], what, told["reason"])
        self._note(
            now_s,
            {
                "id": number,
                "target": told["primary"],
                "what": what,
                "variant": told["variant"],
                "share_pct": told["share_pct"],
                "reason": told["reason"],
                "inputs": told,
            },
        )


_COUNTED = ("opened", "refused")


def _total(counters: NodeCounters, what: str) -> int:
    return sum(int(getattr(own, what)) for own in counters.services.values())
