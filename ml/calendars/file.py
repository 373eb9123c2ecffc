"""What the readers of calendar files share: the window, the names, the checks, the error."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ml.calendars.events import PlannedEvent

MOST_OCCURRENCES: Final = 10_000  # in the window; each is looked at in every forecast
MOST_SHOWN: Final = 20
PAST_S: Final = 8 * 86400.0  # a training looks back a week
AHEAD_S: Final = 15 * 86400.0

# What an event can concern: kind ("routers", "services", …) → name → the targets that it means.
Naming = Mapping[str, Mapping[str, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Window:
    """The stretch of time in which events are wanted. Unix seconds, the end exclusive."""

    start_s: float
    end_s: float

    @classmethod
    def around(cls, now_s: float) -> Window:
        """What a running forecaster needs at `now_s` and for a day after it."""
        return cls(now_s - PAST_S, now_s + AHEAD_S)

    def meets(self, start_s: float, end_s: float) -> bool:
        return start_s < self.end_s and end_s > self.start_s


@dataclass(frozen=True, slots=True)
class CalendarProblem:
    """One thing that is wrong. line: 1-based, 0 when the file as a whole is meant. key: may be ""."""

    line: int
    key: str
    what: str
    remedy: str


class CalendarError(ValueError):
    """A calendar file that cannot be used. `problems` holds all that was found."""

    def __init__(self, file: str, problems: Sequence[CalendarProblem]) -> None:
        self.file = file
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        super().__init__("\n".join(self._lines()))

    def _lines(self) -> list[str]:
        lines = []
        for problem in self.problems[:MOST_SHOWN]:
            place = f"{self.file}:{problem.line}" if problem.line else self.file
            key = f"{problem.key}: " if problem.key else ""
            lines.append(f"{place}: {key}{problem.what}; {problem.remedy}")
        hidden = len(self.problems) - MOST_SHOWN
        if hidden > 0:
            lines.append(f"{self.file}: … and {hidden} more problems")
        return lines


@dataclass(slots=True)
class Found:
    """What a reader has gathered so far."""

    window: Window
    events: list[PlannedEvent] = field(default_factory=list)
    problems: list[CalendarProblem] = field(default_factory=list)

    @property
    def full(self) -> bool:
        return len(self.events) > MOST_OCCURRENCES

    def wrong(self, line: int, key: str, what: str, remedy: str) -> None:
        self.problems.append(CalendarProblem(line, key, what, remedy))

    def add(
        self, name: str, start_s: float, end_s: float, targets: tuple[str, ...], factor: float
    ) -> None:
        """Note an occurrence if it meets the window. One that a change of the clock leaves without
        duration (it lay within the hour that is skipped) is left out.
        """
        if end_s > start_s and self.window.meets(start_s, end_s):
            self.events.append(PlannedEvent(name, start_s, end_s, targets, factor))


def factor_of(text: str) -> float:
    """A load factor. ValueError, with the remedy, unless it is finite and above 0."""
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not (math.isfinite(factor) and factor > 0):
        raise ValueError("write a number above 0, such as 2.5 for two and a half times the load")
    return factor


def targets_of(names: Iterable[str], kind: str, naming: Naming) -> tuple[str, ...]:
    """The targets that these names of one kind mean. ValueError "what; remedy" for unknown names."""
    known, targets = naming[kind], dict[str, None]()
    for name in names:
        if name not in known:
            singular = kind.removesuffix("s")
            raise ValueError(f"there is no {singular} {name!r}; {instead(name, known)}")
        targets.update(dict.fromkeys(known[name]))
    if not targets:
        raise ValueError("no name is given; name one, or leave the key out to concern everything")
    return tuple(targets)


def instead(name: str, known: Iterable[str]) -> str:
    """The remedy for a name that is not known."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean `{close[0]}`?"
    return f"known here: {', '.join(names)}" if names else "none are known here"
