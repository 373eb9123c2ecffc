"""Shifts → what part of each service's new connections goes to which router. Whole percents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from controller.plan.routes_state import RoutesState, ServiceView
from controller.plan.slots import whole_slots


def base_pct(service: ServiceView, labels: Mapping[str, int]) -> dict[str, int]:
    """Router → percent without any shift: equal, in whole slots; smaller labels get the rest."""
    equal = 100.0 / len(service.primaries)
    slots = whole_slots({labels[name]: equal for name in service.primaries})
    return {name: slots.get(labels[name], 0) for name in service.primaries}


def shares(
    services: tuple[ServiceView, ...],
    edges: tuple[str, ...],
    labels: Mapping[str, int],
    state: RoutesState,
    away: Mapping[str, tuple[str, ...]] | None = None,
) -> dict[tuple[str, int], Mapping[int, int]]:
    """(edge, service id) → router label → percent; the same on every edge.

    A shift of x % of a router moves x % of its base slots to its shadows, or of what is left of them after what is
    ordered (`RoutesState.ordered`). What would then go to a
    router that is `away` (dead or drained) goes to those that stand in for it, equally. The exact
    shares are rounded to whole slots together, by largest remainder, so a service is never off by
    more than one slot per router.
    """
    result: dict[tuple[str, int], Mapping[int, int]] = {}
    for service in services:
        exact: dict[int, float] = defaultdict(float)
        for name, slots in base_pct(service, labels).items():
            own = state.of(name)
            rest = 100.0
            for other, part in state.orders(name).items():
                if other in labels:
                    exact[labels[other]] += slots * part / 100.0
                    rest -= part
            moved = 0
            for shadow, pct in own.split:
                if shadow in labels:
                    exact[labels[shadow]] += slots * pct / 100.0 * rest / 100.0
                    moved += pct
            exact[labels[name]] += slots * (100 - moved) / 100.0 * rest / 100.0
        for name, taken_by in (away or {}).items():
            present = [other for other in taken_by if other in labels]
            part = exact.pop(labels[name], 0.0) if present and name in labels else 0.0
            for other in present:
                exact[labels[other]] += part / len(present)
        # Rounded first, so that the order of addition cannot decide a tie.
        whole = whole_slots({label: round(pct, 9) for label, pct in exact.items()})
        for edge in edges:
            result[edge, service.id] = whole
    return result
