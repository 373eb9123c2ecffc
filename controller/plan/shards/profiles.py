"""Application profiles: what one instance of an application uses, and what a mix of them will."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

PEAK_QUANTILE = 0.95
_PEAK_SCORE = NormalDist().inv_cdf(PEAK_QUANTILE)


@dataclass(frozen=True, slots=True)
class ApplicationProfile:
    """Per instance: mean use of CPU (cores), memory (MiB) and network (bits per second, both directions), and
    the network use that it exceeds in 5 % of the time.
    """

    name: str
    cpu_cores: float = 1.0
    memory_mib: float = 1024.0
    network_bps: float = 10e6
    network_peak_bps: float = 20e6

    def __post_init__(self) -> None:
        if min(self.cpu_cores, self.memory_mib, self.network_bps) < 0:
            raise ValueError(f"profile {self.name!r}: no use can be negative")
        if self.network_peak_bps < self.network_bps:
            raise ValueError(f"profile {self.name!r}: network_peak_bps is below network_bps")


@dataclass(frozen=True, slots=True)
class MeanInstance:
    """One instance drawn from a mix. network_variance: of one instance's bits per second."""

    cpu_cores: float
    memory_mib: float
    network_bps: float
    network_variance: float

    def bandwidth_bps(self, instances: float, quantile: float) -> float:
        """What so many instances use together with this probability at most, bits per second.

        They are taken as independent: their means add up, and so do their variances.
        """
        spread = math.sqrt(max(0.0, instances) * self.network_variance)
        score = NormalDist().inv_cdf(quantile)
        return max(0.0, instances * self.network_bps + score * spread)


def mean_instance(
    profiles: Mapping[str, ApplicationProfile], mix: Mapping[str, float], default: str
) -> MeanInstance:
    """mix: profile → how many instances (or what share) have it. What is not known, and an empty mix, counts
    as `default`. Raises KeyError when that is not known either.
    """
    weights: dict[str, float] = {}
    for name in sorted(mix):
        if mix[name] > 0:
            known = name if name in profiles else default
            weights[known] = weights.get(known, 0.0) + mix[name]
    if not weights:
        weights = {default: 1.0}
    total = sum(weights.values())
    parts = [(profiles[name], weight / total) for name, weight in weights.items()]
    mean_bps = sum(one.network_bps * share for one, share in parts)
    # Law of total variance: within the profiles, and between them.
    variance = sum(
        share
        * (
            ((one.network_peak_bps - one.network_bps) / _PEAK_SCORE) ** 2
            + (one.network_bps - mean_bps) ** 2
        )
        for one, share in parts
    )
    return MeanInstance(
        cpu_cores=sum(one.cpu_cores * share for one, share in parts),
        memory_mib=sum(one.memory_mib * share for one, share in parts),
        network_bps=mean_bps,
        network_variance=variance,
    )
