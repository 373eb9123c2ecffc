"""What the route planner knows and remembers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from controller.model import Decision

MOST_MANUAL_PCT = 100
Parts = tuple[tuple[str, float], ...]  # (router, percent)


@dataclass(frozen=True, slots=True)
class RouteSettings:
    """The rules' numbers. Percentages are of a router's base share of new connections."""

    predictive: bool = True  # False: thresholds only
    surge: bool = True
    ramp_pct: int = 10
    max_shift_pct: int = 50
    restore_pct: int = 1
    min_probability: float = 0.5  # of a predicted breach, where no trained rule decides
    direction_changes: int = 1  # at most so many in `HYSTERESIS_CYCLES`
    horizon_s: float = 120.0  # the longest forecast horizon: a breach that far ahead has nearness 0
    shadows: int = 2  # per router
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class RouterView:
    """One router as seen and foreseen in this cycle; None where it is not known.

    live: connections it holds. demand: connections it would hold without any shift (see
    observe/demand). demand_p50, demand_p95: the highest forecast of the demand over the
    next 15 s. breach_probability, lead_s: of the demand above capacity - threshold_available.
    alarm: whether the trained rule takes that for a breach to come; None: there is none, and
    `min_probability` decides.
    anomaly_severity: 0..5, 0 when no anomaly is active. healthy: it is connected and reconciled.
    packets_per_connection_s: what one of its connections sends. carries_pps: packets per second that it
    can carry by synthetic load (`plan/capacity`); None: no bound is known.
    """

    name: str
    label: int
    capacity: int
    threshold_available: int
    healthy: bool = True
    live: float | None = None
    demand: float | None = None
    demand_p50: float | None = None
    demand_p95: float | None = None
    breach_probability: float | None = None
    lead_s: float | None = None
    alarm: bool | None = None
    anomaly_severity: float = 0.0
    packets_per_connection_s: float | None = None
    carries_pps: float | None = None

    @property
    def limit(self) -> float:
        """The most connections without a breach."""
        return float(self.capacity - self.threshold_available)


@dataclass(frozen=True, slots=True)
class ServiceView:
    """A service and its primary routers, which share its new connections equally."""

    id: int
    primaries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoutesInputs:
    """Everything that a plan is made from, apart from the state. candidates: possible shadows,
    the best first. away: router that is dead or drained → those that stand in for it.
    """

    routers: tuple[RouterView, ...]
    services: tuple[ServiceView, ...]
    edges: tuple[str, ...]
    candidates: Mapping[str, tuple[str, ...]]
    away: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RouterState:
    """What is remembered of a router.

    split: (shadow, percent) in order of choice; together they are the shift. direction: 1 while
    the last change was up, -1 down, 0 none yet. turns: cycles of the latest changes of direction.
    held: why the last wanted change was held back, a code; empty when it was not.
    """

    split: tuple[tuple[str, int], ...] = ()
    direction: int = 0
    turns: tuple[int, ...] = ()
    manual_pct: int | None = None
    frozen: bool = False
    held: str = ""

    @property
    def shift_pct(self) -> int:
        """Percent of the base share that goes to shadows."""
        return sum(pct for _, pct in self.split)


@dataclass(frozen=True, slots=True)
class RoutesState:
    """The state between two plans. A router without an entry has never been shifted.

    ordered: who orders it ("resources", "ab") → router → (other, percent of its base share): what other planners move
    away before this one looks at the rest.
    """

    cycle: int = 0
    routers: Mapping[str, RouterState] = field(default_factory=dict)
    frozen: bool = False
    ordered: Mapping[str, Mapping[str, Parts]] = field(default_factory=dict)

    def of(self, router: str) -> RouterState:
        """The state of that router."""
        return self.routers.get(router, RouterState())

    def orders(self, router: str) -> dict[str, float]:
        """Other → percent of that router's base share, all orders together, at most 100; the first by name go first.
        None while a person has set its weight by hand.
        """
        found: dict[str, float] = {}
        if self.of(router).manual_pct is not None:
            return found
        left = 100.0
        for source in sorted(self.ordered):
            for other, pct in self.ordered[source].get(router, ()):
                part = min(pct, left)
                left -= part
                found[other] = found.get(other, 0.0) + part
        return {other: pct for other, pct in found.items() if pct > 0}


@dataclass(frozen=True, slots=True)
class RoutesPlan:
    """What follows. shares: (edge, service) → router label → percent, whole numbers, together 100.

    severities: router → severity of what is coming or there (0..10), for those above 0.
    """

    state: RoutesState
    decisions: tuple[Decision, ...]
    shares: Mapping[tuple[str, int], Mapping[int, int]]
    severities: Mapping[str, float]


def with_orders(state: RoutesState, source: str, orders: Mapping[str, Parts]) -> RoutesState:
    """Exchange what `source` orders, save of routers that are frozen: these keep what they have. Raises ValueError for
    percents that are not from 0 to 100 together.
    """
    for router, parts in orders.items():
        if any(pct < 0 for _, pct in parts) or sum(pct for _, pct in parts) > 100 + 1e-9:
            raise ValueError(f"{source} orders {parts} of {router}: from 0 to 100 % together")
    before = state.ordered.get(source, {})
    kept = {r: parts for r, parts in before.items() if state.frozen or state.of(r).frozen}
    free = {r: tuple(parts) for r, parts in orders.items() if parts}
    own = {r: p for r, p in free.items() if not (state.frozen or state.of(r).frozen)} | kept
    others = {name: given for name, given in state.ordered.items() if name != source}
    return replace(state, ordered={**others, source: own} if own else others)


def with_freeze(state: RoutesState, router: str | None, frozen: bool) -> RoutesState:
    """Freeze or unfreeze one router, or everything (None). Unfreezing all frees every router."""
    if router is not None:
        own = replace(state.of(router), frozen=frozen)
        return replace(state, routers={**state.routers, router: own})
    if frozen:
        return replace(state, frozen=True)
    routers = {name: replace(own, frozen=False) for name, own in state.routers.items()}
    return replace(state, frozen=False, routers=routers)


def with_manual(state: RoutesState, router: str, shift_pct: int | None) -> RoutesState:
    """Set a router's shift by hand (0..100, applied in the next plan), or None to end that.

    Raises ValueError beyond the range.
    """
    if shift_pct is not None and not 0 <= shift_pct <= MOST_MANUAL_PCT:
        raise ValueError(f"a shift of {shift_pct} % is not between 0 and {MOST_MANUAL_PCT}")
    own = replace(state.of(router), manual_pct=shift_pct, direction=0)
    return replace(state, routers={**state.routers, router: own})
