"""How well surges are seen: recall, delay and false alarms on recorded series, and the benchmark's score.

Every series is streamed from its beginning through one detector with the default settings, which were chosen
on first halves only. Judged are the alarms (an alarm: the detector becomes active) of the second half:
against natural surges (`surge_events.natural`) and one injected surge a day. An alarm within five samples of a
surge belongs to it; every other one is false. A day without known samples counts for nothing.

    python -m ml.evaluation.surges.score --data DIR [--nab CHECKOUT [--python INTERPRETER]] [--half first]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ml.evaluation.datasets import EVALUATED, load
from ml.evaluation.surges import nab as benchmark
from ml.evaluation.surges.events import Event, inject, natural
from ml.series import Floats
from ml.surges.detector import SurgeDetector, SurgeSettings

COUNTED = frozenset({"worldcup", "surf"})  # sets of counts; the others are measured
NEAR = 5  # samples around a surge in which an alarm is not false
DAY_S = 86_400.0


@dataclass(slots=True)
class Tally:
    """What was seen of one set. delays: samples of a surge until its alarm; 1: at its first sample.

    series_days: days of known samples that were judged, summed over series.
    """

    name: str
    natural: int = 0
    natural_seen: int = 0
    injected: int = 0
    injected_seen: int = 0
    false_runs: int = 0
    series_days: float = 0.0
    samples: int = 0
    seconds: float = 0.0
    delays: list[int] = field(default_factory=list)

    @property
    def recall(self) -> float:
        """Seen of all surges, natural and injected; NaN when there were none."""
        total = self.natural + self.injected
        return (self.natural_seen + self.injected_seen) / total if total else float("nan")

    @property
    def false_runs_a_day(self) -> float:
        """Per series and day."""
        return self.false_runs / self.series_days if self.series_days else float("nan")

    def add(self, other: Tally) -> None:
        """Sum up."""
        self.natural += other.natural
        self.natural_seen += other.natural_seen
        self.injected += other.injected
        self.injected_seen += other.injected_seen
        self.false_runs += other.false_runs
        self.series_days += other.series_days
        self.samples += other.samples
        self.seconds += other.seconds
        self.delays += other.delays


@dataclass(frozen=True, slots=True)
class SurgeFigures:
    """recall: of all surges; recall_natural, recall_injected: of either kind. delay_samples: median, 1 is a surge's
    first sample. false_runs_a_day: per series. surge_us: mean processor time of one update. sets: each
    set on its own. nab_standard: see `NabScores.standard`; nab_frozen: the other half with the tuning half's
    threshold; both None without a checkout of the benchmark.
    """

    recall: float
    recall_natural: float
    recall_injected: float
    delay_samples: float
    false_runs_a_day: float
    surge_us: float
    sets: tuple[Tally, ...]
    nab_standard: float | None = None
    nab_tuning: float | None = None
    nab_frozen: float | None = None


def evaluate(
    data_dir: Path,
    *,
    names: Sequence[str] = EVALUATED,
    half: str = "second",
    seed: int = 0,
    every: int = 1,
    nab_dir: Path | None = None,
    nab_python: str | None = None,
) -> SurgeFigures:
    """All figures. half: "second" (to be reported) or "first" (to choose settings on; its second half
    is judged). every: of the series of a set only each so many-th. nab_dir: a checkout of the benchmark.

    Raises DataMissing (which file, where to get it).
    """
    if half not in ("first", "second"):
        raise ValueError(f"half is {half!r}: give first or second")
    tallies = [_set(data_dir, name, half, seed, every) for name in names]
    total = Tally("all")
    for tally in tallies:
        total.add(tally)
    scores = None
    if nab_dir is not None:
        corpus = benchmark.files(data_dir)
        found = {file.name: benchmark.detect(file) for file in corpus}
        scores = benchmark.score(nab_dir, corpus, found, *([nab_python] if nab_python else []))
    return SurgeFigures(
        recall=total.recall,
        recall_natural=_share(total.natural_seen, total.natural),
        recall_injected=_share(total.injected_seen, total.injected),
        delay_samples=float(np.median(total.delays)) if total.delays else float("nan"),
        false_runs_a_day=total.false_runs_a_day,
        surge_us=1e6 * total.seconds / max(1, total.samples),
        sets=tuple(tallies),
        nab_standard=scores.whole["standard"] if scores else None,
        nab_tuning=scores.tuning["standard"] if scores else None,
        nab_frozen=scores.frozen["standard"] if scores else None,
    )


def alarms(times_s: Floats, values: Floats, settings: SurgeSettings) -> list[int]:
    """The samples at which a fresh detector becomes active."""
    detector, before, found = SurgeDetector(settings), False, []
    for index, (time_s, value) in enumerate(zip(times_s.tolist(), values.tolist(), strict=True)):
        active = detector.update(time_s, value).active
        if active and not before:
            found.append(index)
        before = active
    return found


def judge(raised: Sequence[int], naturals: Sequence[Event], injected: Sequence[Event]) -> Tally:
    """Alarms against surges. One within `NEAR` samples before a natural surge saw it: its onset is a matter of
    definition; an injected one has an exact beginning.
    """
    tally = Tally("", natural=len(naturals), injected=len(injected))
    for event, early in [(one, NEAR) for one in naturals] + [(one, 0) for one in injected]:
        seen = [at for at in raised if event.first - early <= at <= event.last]
        if seen:
            tally.delays.append(max(1, seen[0] - event.first + 1))
            if early:
                tally.natural_seen += 1
            else:
                tally.injected_seen += 1
    near = [(one.first - NEAR, one.last + NEAR) for one in (*naturals, *injected)]
    tally.false_runs = sum(not any(low <= at <= high for low, high in near) for at in raised)
    return tally


def _set(data_dir: Path, name: str, half: str, seed: int, every: int) -> Tally:
    found = load(name, data_dir)
    settings = SurgeSettings() if name in COUNTED else SurgeSettings.measured()
    samples_a_day = DAY_S / found.step_s
    tally = Tally(name)
    for number, series in enumerate(found.series[::every]):
        times_s, values = series.times_s, series.values
        if half == "first":
            times_s, values = times_s[: len(times_s) // 2], values[: len(values) // 2]
        begin = len(values) // 2
        naturals = natural(values, samples_a_day)
        rng = np.random.default_rng([seed, number])
        raised, injected = inject(values, begin, samples_a_day, rng, naturals)
        started_s = time.process_time()
        seen = alarms(times_s, raised, settings)
        seconds = time.process_time() - started_s
        own = judge(
            [at for at in seen if at >= begin],
            [one for one in naturals if one.first >= begin],
            injected,
        )
        own.series_days = float(np.isfinite(values[begin:]).sum()) / samples_a_day
        own.samples, own.seconds = len(values), seconds
        tally.add(own)
    return tally


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def table(figures: SurgeFigures) -> str:
    """The figures as text."""
    lines = [
        "set             natural   injected    delay (median, mean)  false runs/day  series-days"
    ]
    for one in figures.sets:
        delay = (
            f"{np.median(one.delays):.1f}, {np.mean(one.delays):.2f}" if one.delays else "none seen"
        )
        lines.append(
            f"{one.name:14s} {one.natural_seen:4d}/{one.natural:<4d}"
            f" {one.injected_seen:4d}/{one.injected:<4d}   {delay:>20s}"
            f"  {one.false_runs_a_day:14.2f}  {one.series_days:11.1f}"
        )
    lines.append(
        f"all: recall {figures.recall:.3f} (natural {figures.recall_natural:.3f},"
        f" injected {figures.recall_injected:.3f}), median delay {figures.delay_samples:.1f},"
        f" {figures.false_runs_a_day:.2f} false runs/day, {figures.surge_us:.1f} us/sample"
    )
    if figures.nab_standard is not None:
        lines.append(
            f"NAB standard {figures.nab_standard:.2f}; tuning half {figures.nab_tuning:.2f},"
            f" other half with its threshold {figures.nab_frozen:.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m ml.evaluation.surges.score", description=__doc__
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the recorded sets")
    parser.add_argument("--nab", type=Path, help="a checkout of github.com/numenta/NAB")
    parser.add_argument("--python", help="an interpreter with pandas, for the benchmark's scorer")
    parser.add_argument("--half", choices=("first", "second"), default="second")
    parser.add_argument("--set", action="append", choices=EVALUATED, help="only this set")
    parser.add_argument("--every", type=int, default=1, help="each so many-th series only")
    own = parser.parse_args()
    figures = evaluate(
        own.data,
        names=own.set or EVALUATED,
        half=own.half,
        every=own.every,
        nab_dir=own.nab,
        nab_python=own.python,
    )
    print(table(figures))


if __name__ == "__main__":
    main()
