"""Surges whose moments are known: natural ones, labelled with hindsight, and injected ones.

Both definitions measure a surge by what an observer of the whole recording sees, not by what a detector computes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.series import Floats

BEFORE = 60  # samples: what a surge is compared with
LATEST = 5
AFTER = 3
HIGHEST_OF = 180
LEAST_SHARE = 0.5
LEAST_SCATTERS = 6.0
SIMILAR = 0.7
APART = 30  # onsets closer than this are one surge
LENGTHS = (5, 30)
FACTORS = (1.0, 3.0)
RISE = 3


@dataclass(frozen=True, slots=True)
class Event:
    """A surge in samples `first` (the first raised one) to `last`, both included."""

    first: int
    last: int


def scatter(values: Floats) -> float:
    """Standard deviation of the noise, robustly from the differences of neighbours; NaN: too few."""
    change = np.diff(values)
    change = change[np.isfinite(change)]
    return float(1.4826 * np.median(np.abs(change)) / np.sqrt(2)) if len(change) >= 10 else np.nan


def natural(values: Floats, samples_a_day: float) -> list[Event]:
    """Surges in a recording, seen with hindsight.

    At the first sample, and in the median of it and the next two, the series exceeds the larger of the medians
    of the 60 and of the 5 samples before by `least_rise`; that median exceeds every median of three in
    the 180 samples before, so that the end of an outage is none; and nothing like it (70 % of the rise) came
    within half an hour of the same time the day or the week before, so that a nightly job is none. The surge
    lasts while samples stay above halfway, at most 60. Onsets within 30 samples of its end belong to it.
    """
    size = len(values)
    least, lower, threes = least_rise(values, samples_a_day)
    if not len(least):
        return []
    at = np.arange(BEFORE, size - AFTER + 1)
    highest = _highest_before(threes, at)
    needed = lower + least
    with np.errstate(invalid="ignore"):
        raised = (values[at] >= needed) & (threes[at] >= needed) & (threes[at] > highest)
    events: list[Event] = []
    for start, low, much in zip(at[raised], lower[raised], least[raised], strict=True):
        if events and start - events[-1].last <= APART:
            events[-1] = Event(events[-1].first, max(int(start), events[-1].last))
            continue
        if _recurs(values, int(start), low, samples_a_day):
            continue
        end = int(start)
        while end + 1 < size and not values[end + 1] < low + much / 2 and end - start < BEFORE:
            end += 1
        events.append(Event(int(start), end))
    return events


def least_rise(values: Floats, samples_a_day: float) -> tuple[Floats, Floats, Floats]:
    """By how much a surge exceeds what was before it: the largest of half of what was before, six scatters of
    the 60 samples before, and the largest rise of an ordinary day (the median of the days' largest).

    A rise that a series makes every day is no surge of it. Returns (that, what was before, medians of
    three); the first two for the samples from the 61st to the last but two, NaN where too little is known.
    """
    if len(values) < BEFORE + AFTER + 1:
        return np.empty(0), np.empty(0), np.empty(0)
    windows = np.lib.stride_tricks.sliding_window_view
    at = np.arange(BEFORE, len(values) - AFTER + 1)
    before = _medians(windows(values, BEFORE))[at - BEFORE]
    latest = _medians(windows(values, LATEST))[at - LATEST]
    threes = _medians(windows(values, AFTER))
    lower = np.fmax(before, latest)
    rises = threes[at] - lower
    days = (at / samples_a_day).astype(np.int64)
    largest = [
        float(np.nanmax(rises[days == day]))
        for day in range(int(days[-1]) + 1)
        if np.isfinite(rises[days == day]).sum() > samples_a_day / 2
    ]
    ordinary = float(np.median(largest)) if largest else 0.0
    least = np.fmax(LEAST_SHARE * np.abs(lower), LEAST_SCATTERS * _scatters(values)[at - BEFORE])
    least = np.fmax(least, ordinary)
    least[~(least > 0)] = np.nan  # nothing moves there: what would a surge of it be?
    return least, lower, threes


def inject(
    values: Floats,
    begin: int,
    samples_a_day: float,
    rng: np.random.Generator,
    avoid: list[Event],
) -> tuple[Floats, list[Event]]:
    """A copy of the series with surges added from sample `begin` on: one a day, at a random moment of it.

    A surge adds 1 to 3 times (uniform) the `least_rise` at its first sample for 5 to 30 samples;
    half of them rise over three samples. None within 90 samples of an event of `avoid`, nor
    where samples are missing.
    """
    result = values.copy()
    least, _, _ = least_rise(values, samples_a_day)
    every = int(samples_a_day)
    events: list[Event] = []
    for start in range(max(begin, BEFORE), len(values) - every + 1, every):
        first = start + int(rng.integers(0, every - LENGTHS[1] - APART))
        length = int(rng.integers(LENGTHS[0], LENGTHS[1] + 1))
        factor, gradual = rng.uniform(*FACTORS), rng.random() < 0.5
        last = first + length - 1
        near = any(
            first <= other.last + BEFORE + APART and last + BEFORE + APART >= other.first
            for other in avoid
        )
        much = least[first - BEFORE] if first - BEFORE < len(least) else np.nan
        if near or not np.isfinite(values[first - 1 : last + 1]).all() or not np.isfinite(much):
            continue
        shape = np.ones(length)
        if gradual:
            shape[:RISE] = np.arange(1, RISE + 1) / RISE
        result[first : last + 1] += factor * much * shape
        events.append(Event(first, last))
    return result, events


def _recurs(values: Floats, start: int, lower: float, samples_a_day: float) -> bool:
    """Whether the day or the week before had, at about this time, a value 70 % as far above `lower`."""
    near = max(1, round(samples_a_day / 48))
    level = lower + SIMILAR * (float(np.max(values[start : start + AFTER])) - lower)
    for days in (1, 7):
        center = start - round(days * samples_a_day)
        if center < near:
            continue
        then = values[center - near : center + near + 1]
        if np.isfinite(then).any() and float(np.nanmax(then)) >= level:
            return True
    return False


def _medians(windows: npt.NDArray[np.float64]) -> Floats:
    """The median of each window, NaN when more than half of it is missing."""
    known = np.isfinite(windows).sum(axis=1)
    found = np.full(len(windows), np.nan)
    full = known == windows.shape[1]
    found[full] = np.median(windows[full], axis=1)
    partly = ~full & (known * 2 > windows.shape[1])
    if partly.any():
        found[partly] = np.nanmedian(windows[partly], axis=1)
    return found


def _scatters(values: Floats) -> Floats:
    changes = np.abs(np.diff(values))
    windows = np.lib.stride_tricks.sliding_window_view(changes, BEFORE - 1)
    found: Floats = 1.4826 * _medians(windows) / np.sqrt(2)
    return found


def _highest_before(threes: Floats, at: npt.NDArray[np.int64]) -> Floats:
    """The largest median of three of the HIGHEST_OF before each, none that reaches into it."""
    padded = np.concatenate([np.full(HIGHEST_OF, -np.inf), np.nan_to_num(threes, nan=-np.inf)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, HIGHEST_OF - AFTER + 1)
    found: Floats = windows[at].max(axis=1)
    return found
