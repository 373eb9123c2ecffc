"""The address pool: durable, shared by processes, reconciled with what really runs (docs/address-pool.md)."""

from controller.pool.clocks import Clock, SystemClock
from controller.pool.counts import Counts
from controller.pool.errors import Full, PoolError, Refused, Unavailable, Unknown
from controller.pool.exhaustion import Exhaustion, exhaustion
from controller.pool.pool import Pool
from controller.pool.space import mac_of
from controller.pool.world import Observation, Reconciliation, World

__all__ = [
    "Clock",
    "Counts",
    "Exhaustion",
    "Full",
    "Observation",
    "Pool",
    "PoolError",
    "Reconciliation",
    "Refused",
    "SystemClock",
    "Unavailable",
    "Unknown",
    "World",
    "exhaustion",
    "mac_of",
]
