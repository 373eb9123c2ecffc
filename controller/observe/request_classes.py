"""What requests were: from counters (how many, how large) and digests (from where, to where) → request classes.

A request is a connection. A digest tells of one connection in many, so counters say how many there were, and digests
how these divide by source and destination.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from controller.model import NodeCounters, SampledConnection, ServiceCounters
from controller.model.resources import RequestClass
from controller.observe.points import location
from controller.store.cardinality import SKETCH, TopK

MEMORY_S = 60.0  # over which sizes, sources and destinations are taken
MOST_PAIRS = 8  # of source and destination, for each service of a device; some more are weighed
FORGOTTEN = 0.01  # digests: what has faded to less is gone
OTHER = "other"
KIB = 1024
SIZES = (
    (KIB, "<1KiB"),
    (4 * KIB, "<4KiB"),
    (16 * KIB, "<16KiB"),
    (64 * KIB, "<64KiB"),
    (256 * KIB, "<256KiB"),
    (KIB * KIB, "<1MiB"),
)
LARGEST = ">=1MiB"
Pair = tuple[str, ...]  # source, destination


def size_class(mean_bytes: float) -> str:
    """The class of a request's mean size; empty when it is not known (NaN)."""
    if math.isnan(mean_bytes):
        return ""
    return next((name for below, name in SIZES if mean_bytes < below), LARGEST)


@dataclass(slots=True)
class _Service:
    pairs: TopK  # (source, destination), by digests
    requests: float = 0.0  # these are faded alike
    size_bytes: float = 0.0


@dataclass(slots=True)
class RequestClasses:
    """services: id → name. targets: label → name of the router or backend that a binding stands for. most_pairs: of
    each service the heaviest so many are told apart, the rest is "other".
    """

    services: Mapping[int, str]
    targets: Mapping[int, str]
    most_pairs: int = MOST_PAIRS
    _last: dict[str, NodeCounters] = field(default_factory=dict)
    _seen: dict[tuple[str, int], _Service] = field(default_factory=dict)

    def update(
        self, readings: Iterable[NodeCounters], connections: Iterable[SampledConnection]
    ) -> dict[str, dict[RequestClass, float]]:
        """Take one turn's counters and digests: switch → request class → requests per second, refused ones included.

        The first reading of a switch gives nothing, nor does one that is not newer than the last; digests count
        whether there is a reading with them or not.
        """
        told: dict[tuple[str, int], Counter[Pair]] = defaultdict(Counter)
        newest_s = 0.0
        for one in connections:
            pair = (location(one.client), self.targets.get(one.binding, ""))
            told[one.node, one.service_id][pair] += 1
            newest_s = max(newest_s, one.time_s)
        for key, counts in told.items():
            self._of(*key).pairs.add({pair: float(n) for pair, n in counts.items()}, newest_s)
        found: dict[str, dict[RequestClass, float]] = {}
        for counters in readings:
            before = self._last.get(counters.node)
            self._last[counters.node] = counters
            if before is None or counters.time_s <= before.time_s:
                continue
            interval_s = counters.time_s - before.time_s
            classes: dict[RequestClass, float] = {}
            for service, now in counters.services.items():
                own = self._of(counters.node, service)
                share = math.exp(-interval_s / MEMORY_S)
                own.requests *= share
                own.size_bytes *= share
                own.pairs.add({}, counters.time_s)  # they fade, too
                requests, size_bytes = _grown(before.services.get(service), now)
                own.requests += requests
                own.size_bytes += size_bytes
                if requests:
                    self._divide(classes, service, own, requests / interval_s)
            found[counters.node] = classes
        return found

    def _of(self, node: str, service: int) -> _Service:
        own = self._seen.get((node, service))
        if own is None:
            pairs = TopK(SKETCH * self.most_pairs, math.log(2.0) * MEMORY_S)
            own = self._seen[node, service] = _Service(pairs)
        return own

    def _divide(
        self, classes: dict[RequestClass, float], service: int, own: _Service, per_s: float
    ) -> None:
        name = self.services.get(service, str(service))
        size = size_class(own.size_bytes / own.requests if own.requests > 0 else math.nan)
        # What they weigh for sure: pairs that come and go take over others' weights.
        sure = {pair: own.pairs.least(pair) for pair in own.pairs.weights}
        heaviest = sorted(sure.items(), key=lambda one: (-one[1], one[0]))[: self.most_pairs]
        weights = {pair: weight for pair, weight in heaviest if weight > FORGOTTEN}
        rest = sum(own.pairs.weights.values()) - sum(weights.values())
        if rest > FORGOTTEN:
            weights[OTHER, OTHER] = rest
        total = sum(weights.values())
        if total <= 0:  # nobody reported any lately
            classes[RequestClass(name, size)] = per_s
            return
        for (source, destination), weight in weights.items():
            classes[RequestClass(name, size, source, destination)] = per_s * weight / total


def _grown(before: ServiceCounters | None, now: ServiceCounters) -> tuple[int, int]:
    """(requests, bytes) since then; since its start where the switch started anew."""
    requests, size = now.opened + now.refused, now.bytes
    if before is not None and now.opened >= before.opened and now.refused >= before.refused:
        requests -= before.opened + before.refused
        size = max(0, size - before.bytes)
    return requests, size
