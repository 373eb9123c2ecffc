"""The numbers of the rules that redirect new connections, and that adjust this to what it achieved."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RedirectSettings:
    """rows: of the table `redirects` at most. It holds twice as many, for the old and the new ones are there together
    for a moment. slot_sets: copies that redirects may lead to; of 65,536 members a switch gives 100 to each slot set,
    and the services' own and those of the last plan must find room as well. least_saved_ms: so much nearer than the
    primary must a copy be that stands in for another.

    What redirects achieve: least_connections: fewer in a cycle prove nothing. least_gain: new connections per second
    x ms saved; at or below it a redirect does not pay, and after losing_cycles in a row it is withdrawn, for retry_s
    the first time and twice as long each time after, up to retry_max_s; winning_cycles that paid make up for that.
    refused_share: of the connections that a copy refuses, above which it sheds locations.
    smoothing: weight of the newest cycle in gains and corrections. floor_cps: added to demand and forecast before they
    are compared, so that the smallest do not decide; correction_max: a forecast is multiplied or divided by so much
    at most.

    Failure: a copy that failed must be well for hold_s before it is used again, twice as long after each
    further failure, up to hold_max_s; forget_s without a failure make up for that.
    """

    rows: int = 8192
    slot_sets: int = 200
    least_saved_ms: float = 1.0
    least_connections: int = 20
    least_gain: float = 0.0
    losing_cycles: int = 3
    winning_cycles: int = 10
    retry_s: float = 300.0
    retry_max_s: float = 7200.0
    refused_share: float = 0.01
    smoothing: float = 0.3
    floor_cps: float = 1.0
    correction_max: float = 4.0
    hold_s: float = 30.0
    hold_max_s: float = 600.0
    forget_s: float = 3600.0

    def __post_init__(self) -> None:
        if min(self.losing_cycles, self.winning_cycles, self.least_connections) < 1 or (
            min(self.rows, self.slot_sets) < 0
        ):
            raise ValueError(
                "cycles and least_connections must be 1 or above, rows and slot_sets 0 or above"
            )
        times = (self.retry_s, self.retry_max_s, self.hold_s, self.hold_max_s, self.forget_s)
        if not all(0 <= one < math.inf for one in (*times, self.least_saved_ms)):
            raise ValueError("times and least_saved_ms must be finite and not below 0")
        if self.retry_s > self.retry_max_s or self.hold_s > self.hold_max_s:
            raise ValueError("retry_max_s and hold_max_s must not be below retry_s and hold_s")
        if not 0 < self.smoothing <= 1 or not 0 <= self.refused_share <= 1:
            raise ValueError("smoothing must lie in (0, 1], refused_share in [0, 1]")
        if not (self.floor_cps > 0 and self.correction_max >= 1) or math.isnan(self.least_gain):
            raise ValueError(
                "floor_cps must be above 0, correction_max 1 or above, least_gain a number"
            )
