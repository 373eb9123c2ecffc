"""How many grants a window brought, where so many were expected: distributions that are learned.

Instances come in batches of any size, and quiet times differ from busy ones. So no law is assumed: per class of
expectation (each twice as large as the one before) the counts that really came are kept, and a prior with a
broad tail speaks while there are few. Pure: an update gives new values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

LEAST_EXPECTED: Final = 0.01  # below it, all expectations are one class
CLASSES: Final = 24
MOST: Final = 1024  # larger counts are kept as this one
PRIOR: Final = 20.0  # windows that the prior is worth
PRIOR_LEAST: Final = 0.05  # of them, so many bring something even where nothing is expected
PRIOR_SCALE: Final = 4.0  # and then so many grants: batches of that size are common


@dataclass(frozen=True, slots=True)
class Seen:
    """Of one class: how many windows brought 0, 1, 2, … grants. total: their sum."""

    windows: tuple[float, ...] = ()
    total: float = 0.0


Counts = tuple[Seen, ...]  # by class of expectation
NOTHING: Final[Counts] = (Seen(),) * CLASSES


def class_of(expected: float) -> int:
    """The class of an expectation, in grants per window."""
    if expected < LEAST_EXPECTED:
        return 0
    return min(CLASSES - 1, 1 + int(math.log2(expected / LEAST_EXPECTED)))


def learned(counts: Counts, place: int, grants: int, memory: int) -> Counts:
    """With one window more that brought `grants` in class `place`."""
    seen = counts[place]
    grants = min(grants, MOST)
    windows = list(seen.windows)
    if grants >= len(windows):
        windows.extend([0.0] * (grants + 1 - len(windows)))
    windows[grants] += 1.0
    total = seen.total + 1.0
    if total > memory:
        windows = [one / 2.0 for one in windows]
        total = sum(windows)
    return (*counts[:place], Seen(tuple(windows), total), *counts[place + 1 :])


def upper(counts: Counts, expected: float, risk: float) -> int:
    """The least number that a window exceeds with probability `risk` at most, where `expected` are expected.

    The prior exceeds n with probability min(1, max(0.05, expected)) exp(-n / (4 + expected / 2)).
    """
    seen = counts[class_of(expected)]
    allowed = risk * (seen.total + PRIOR)
    scale = PRIOR_SCALE + expected / 2.0
    weight = PRIOR * min(1.0, max(PRIOR_LEAST, expected))
    alone = 0 if weight <= allowed else math.ceil(scale * math.log(weight / allowed))
    number = max(alone, len(seen.windows) - 1, 0)
    if number > MOST + len(seen.windows):
        return number
    # Downwards, because the tail is short: `beyond` are the windows with more than `number` grants.
    beyond = 0.0
    prior = weight * math.exp(-number / scale)
    growth = math.exp(1.0 / scale)
    while number > 0:
        if number < len(seen.windows):
            beyond += seen.windows[number]
        prior *= growth
        if beyond + prior > allowed:
            break
        number -= 1
    return number
