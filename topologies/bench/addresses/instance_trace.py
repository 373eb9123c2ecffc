"""A fortnight of instances: generated with daily and weekly shape, bursts and events, or recorded.

Generated are subdivisions as they are seen in practice: web tiers that follow their users, a small one, jobs that start
by the clock, builds of developers in batches in working hours, and a shop with campaigns. All of them have
unannounced bursts; campaigns are announced in the calendar, but for one. Every draw comes from the seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ml.calendars.events import PlannedEvent
from ml.evaluation.sources import column, csv_columns, parquet_columns
from ml.series import Floats

DAY_S, HOUR_S = 86_400.0, 3600.0
BEGIN_S = 1_704_067_200.0  # a Monday, midnight UTC
DAYS = 14
OPENDC = "github.com/atlarge-research/opendc (workload trace surf_month)"
WORLDCUP = "github.com/nimamahmoudi/worldcup98-dataset (invocation_count_per_min.csv)"
SURF_FILE = "opendc/surf_month_tasks.parquet"
WORLDCUP_FILE = "worldcup98/invocation_count_per_min.csv.gz"
REQUESTS_PER_INSTANCE = 250.0  # a minute: the largest surge of 1998 needs some 800 instances
WORLDCUP_DAYS = (44.0, 58.0)  # of the recording: the group matches, with its largest surges


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """One subdivision's instances: created_s ascending (Unix), lasting_s. What runs at the begin was created then."""

    name: str
    created_s: Floats
    lasting_s: Floats


@dataclass(frozen=True, slots=True)
class Trace:
    """begin_s, end_s: Unix seconds. calendar: what was announced."""

    name: str
    begin_s: float
    end_s: float
    subjects: tuple[Subject, ...]
    calendar: tuple[PlannedEvent, ...] = ()

    @property
    def creations(self) -> int:
        """Of all subdivisions."""
        return sum(len(one.created_s) for one in self.subjects)

    def first(self, days: int) -> Trace:
        """Its first days only; itself when it is no longer than that."""
        end_s = min(self.end_s, self.begin_s + days * DAY_S)
        subjects = []
        for one in self.subjects:
            inside = one.created_s < end_s
            subjects.append(Subject(one.name, one.created_s[inside], one.lasting_s[inside]))
        return replace(self, end_s=end_s, subjects=tuple(subjects))


@dataclass(frozen=True, slots=True)
class _Kind:
    """mean: instances at the daily mean. lasting_s: mean duration. swing: of the day. weekend: factor.

    batch: mean size of a batch (geometric). bursts_per_day: unannounced. clock: jobs at the full hour.
    rollouts: a working day has one, with this probability: all instances are replaced, a tenth at a time.
    """

    name: str
    mean: float
    lasting_s: float
    swing: float
    weekend: float
    batch: float = 1.0
    bursts_per_day: float = 1.0
    clock: int = 0
    rollouts: float = 0.0
    peak_hour: float = 15.0


_KINDS = (
    _Kind("web-large", 400, 3600, 0.6, 0.7, rollouts=0.5),
    _Kind("web-small", 80, 2400, 0.5, 0.8, rollouts=0.5),
    _Kind("api", 150, 1200, 0.4, 0.9, batch=1.5),
    _Kind("night-jobs", 60, 1800, 0.7, 1.0, batch=2.0, clock=12, peak_hour=2.0),
    _Kind("builds", 90, 900, 0.9, 0.2, batch=3.0, bursts_per_day=2.0),
    _Kind("shop", 200, 2700, 0.6, 1.2, rollouts=0.5),
    _Kind("internal", 25, 5400, 0.3, 0.5, bursts_per_day=0.3),
)


def generated(seed: int, days: int = DAYS) -> Trace:
    """Deterministic for a seed."""
    draws = np.random.default_rng(seed)
    events, silent = _campaigns(draws, days)
    subjects = []
    for kind in _KINDS:
        mine = [one for one in (*events, *silent) if one.concerns(kind.name)]
        subjects.append(_subject(kind, mine, draws, days))
    end_s = BEGIN_S + days * DAY_S
    return Trace(f"generated-{seed}", BEGIN_S, end_s, tuple(subjects), tuple(events))


def recorded(name: str, folder: Path) -> Trace:
    """ "surf" (jobs of a cluster) or "worldcup" (a site's requests, served by scaled instances). Raises DataMissing."""
    return {"surf": _surf, "worldcup": _worldcup}[name](folder)


RECORDED: tuple[str, ...] = ("surf", "worldcup")


def _campaigns(
    draws: np.random.Generator, days: int
) -> tuple[list[PlannedEvent], list[PlannedEvent]]:
    """Announced ones, three in a fortnight, and one that nobody announced."""
    found = []
    for number in range(max(2, days * 2 // 7)):
        start_s = BEGIN_S + float(draws.integers(1, days) + draws.uniform(9, 20) / 24) * DAY_S
        length_s = draws.uniform(1, 3) * HOUR_S
        factor = float(draws.uniform(2.5, 5))
        targets = ("shop", "api") if number % 2 else ("shop",)
        start_s = round(start_s / 900) * 900.0
        found.append(PlannedEvent("campaign", start_s, start_s + length_s, targets, factor))
    return found[:-1], found[-1:]


def _subject(
    kind: _Kind, events: Sequence[PlannedEvent], draws: np.random.Generator, days: int
) -> Subject:
    step_s = 5.0
    times_s = BEGIN_S + step_s * np.arange(int(days * DAY_S / step_s))
    hours = (times_s - BEGIN_S) / HOUR_S
    rate = 1.0 + kind.swing * np.cos(2 * np.pi * (hours - kind.peak_hour) / 24)
    rate *= np.where((hours // 24) % 7 >= 5, kind.weekend, 1.0)
    slow = np.repeat(draws.normal(0, 0.1, days * 24 + 1), int(HOUR_S / step_s))[: len(times_s)]
    rate *= kind.mean / kind.lasting_s * np.exp(slow)
    for event in events:
        # What is announced for noon is rarely there to the second.
        during = (times_s >= event.start_s + draws.uniform(0, 60)) & (times_s < event.end_s)
        real = event.expected_factor * draws.uniform(0.7, 1.2)
        rate = np.where(during, rate * real, rate)
    for _ in range(draws.poisson(kind.bursts_per_day * days)):
        start_s = BEGIN_S + draws.uniform(0, days) * DAY_S
        ramp_s, length_s = draws.uniform(10, 60), draws.uniform(120, 900)
        height = draws.uniform(2, 8) - 1.0
        shape = np.clip((times_s - start_s) / ramp_s, 0, 1) * (times_s < start_s + length_s)
        rate *= 1.0 + height * shape
    number = draws.poisson(np.maximum(rate, 0) * step_s / kind.batch)
    at_s = np.repeat(times_s, number) + draws.uniform(0, step_s, int(number.sum()))
    if kind.batch > 1:
        # A batch is created by a loop, a few a second.
        sizes = draws.geometric(1.0 / kind.batch, len(at_s))
        at_s = np.repeat(at_s, sizes) + _places(sizes) * draws.uniform(0.1, 0.5)
    if kind.clock:
        full = BEGIN_S + HOUR_S * np.arange(days * 24)
        sizes = draws.poisson(kind.clock, len(full))
        jobs_s = np.repeat(full + draws.uniform(0, 2, len(full)), sizes) + 0.2 * _places(sizes)
        at_s = np.concatenate([at_s, jobs_s])
    at_s = np.concatenate([at_s, _rollouts(kind, draws, days)])
    at_s = np.sort(at_s[at_s < BEGIN_S + days * DAY_S])
    before = draws.poisson(rate[0] * kind.lasting_s)
    created_s = np.concatenate([np.full(before, BEGIN_S), at_s])
    # Log-normal durations, as wide as clouds report them; the mean is exact.
    sigma = 1.0
    mu = np.log(kind.lasting_s) - sigma**2 / 2
    return Subject(kind.name, created_s, draws.lognormal(mu, sigma, len(created_s)))


def _rollouts(kind: _Kind, draws: np.random.Generator, days: int) -> Floats:
    """A new version in working hours, unannounced: ten parts, one a minute, each at once."""
    found = []
    for day in range(days):
        if day % 7 < 5 and draws.random() < kind.rollouts:
            start_s = BEGIN_S + day * DAY_S + draws.uniform(9, 17) * HOUR_S
            part = max(1, round(kind.mean / 10))
            for number in range(10):
                found.append(start_s + 60.0 * number + 0.05 * np.arange(part))
    return np.concatenate(found) if found else np.zeros(0)


def _places(sizes: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Floats:
    """0, 1, 2, … within each batch."""
    ends = np.cumsum(sizes)
    return np.asarray(np.arange(int(sizes.sum())) - np.repeat(ends - sizes, sizes), dtype=float)


def _surf(folder: Path) -> Trace:
    """Each job of a month on a cluster is an instance from its submission on: the first fortnight."""
    path = folder / SURF_FILE
    rows = parquet_columns(path, ["submission_time", "duration"], OPENDC)
    created_s = rows["submission_time"].astype(np.float64) / 1e3
    lasting_s = rows["duration"].astype(np.float64) / 1e3
    order = np.argsort(created_s, kind="stable")
    created_s, lasting_s = created_s[order], lasting_s[order]
    begin_s = float(np.floor(created_s[0] / 60) * 60)
    end_s = begin_s + DAYS * DAY_S
    inside = created_s < end_s
    return Trace(
        "surf", begin_s, end_s, (Subject("cluster", created_s[inside], lasting_s[inside]),)
    )


def _worldcup(folder: Path) -> Trace:
    """The requests a minute of the 1998 site, served by instances that an autoscaler starts and ends each minute.

    It starts what the last minute lacked, all at once, and ends the oldest when it has had too many for ten
    minutes. The fortnight with the largest surges.
    """
    path = folder / WORLDCUP_FILE
    columns = csv_columns(path, WORLDCUP)
    requests = column(columns, "count", path)
    first, last = (int(day * 1440) for day in WORLDCUP_DAYS)
    wanted = np.ceil(np.nan_to_num(requests[first:last]) / REQUESTS_PER_INSTANCE).astype(np.int64)
    created, ended = [], []
    alive: list[float] = []
    for minute in range(len(wanted)):
        now_s = BEGIN_S + 60.0 * minute
        recent = int(wanted[max(0, minute - 9) : minute + 1].max())
        target = max(1, int(wanted[minute]))
        if target > len(alive):
            # An autoscaler's calls take a moment each. What the first minute needs runs already.
            call_s = 0.05 if minute else 0.0
            new = [now_s + call_s * place for place in range(target - len(alive))]
            created += new
            alive += new
        while len(alive) > max(1, recent):
            ended.append((alive.pop(0), now_s))
    end_s = BEGIN_S + 60.0 * len(wanted)
    pairs = sorted(ended + [(start_s, end_s + DAY_S) for start_s in alive])
    table = np.array(pairs)
    return Trace(
        "worldcup",
        BEGIN_S,
        end_s,
        (Subject("site", table[:, 0].copy(), np.maximum(table[:, 1] - table[:, 0], 1.0)),),
    )
