"""What redirects achieved in a step, and whom they took from whom: what dynamic adjustment judges by. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

from controller.observe.access_readings import Cell
from controller.plan.redirects.achieved import Achieved

Latency = Callable[
    [str, str, int], float | None
]  # location, site, service → measured round trip, ms


def achieved(
    served: Mapping[Cell, str],
    primaries: Mapping[int, str],
    counts: Mapping[Cell, float],
    window_s: float,
    refused: Mapping[tuple[int, str], int],
    latency_ms: Latency,
) -> tuple[Achieved, ...]:
    """served: (service, location) → site of the copy, of redirects that were in force for the whole step.

    counts: new connections of the step. refused: (service, site) → connections that the copy refused in it; they are
    divided among its locations as their connections are.
    """
    taken: dict[tuple[int, str], float] = defaultdict(float)
    for (service, location), site in served.items():
        taken[service, site] += counts.get((service, location), 0.0)
    found = []
    for (service, location), site in sorted(served.items()):
        came = counts.get((service, location), 0.0)
        own = refused.get((service, site), 0)
        total = taken[service, site]
        found.append(
            Achieved(
                service,
                location,
                site,
                connections=round(came),
                window_s=window_s,
                latency_ms=latency_ms(location, site, service),
                primary_ms=latency_ms(location, primaries[service], service),
                refused=round(own * came / total) if total > 0 else 0,
            )
        )
    return tuple(found)


def offered(
    base: Mapping[str, float],
    service: int,
    served: Mapping[Cell, str],
    counts: Mapping[Cell, float],
    routers: Callable[[tuple[int, str]], tuple[str, ...]],
) -> dict[str, float]:
    """Router → percent of a service's new connections without any shift, redirects counted: what the demand of its
    routers is reckoned by. base: the same without redirects.
    """
    total = sum(count for (own, _), count in counts.items() if own == service)
    shares: dict[str, float] = dict(base)
    if total <= 0:
        return shares
    parts: dict[str, float] = defaultdict(float)
    for (own, location), site in served.items():
        if own == service:
            parts[site] += counts.get((own, location), 0.0) / total
    rest = max(0.0, 1.0 - sum(parts.values()))
    shares = {name: pct * rest for name, pct in base.items()}
    for site, part in sorted(parts.items()):
        names = routers((service, site))
        for name in names:
            shares[name] = shares.get(name, 0.0) + 100.0 * part / len(names)
    return shares
