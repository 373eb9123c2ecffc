"""Recorded cycles of the shadow manager, one file per day (UTC), and their replay: the same decisions, bit for bit.

A file holds two kinds of lines: `state`, with the settings and what the manager remembered when the lines after it
begin, and one per cycle, with its inputs and the digest of what was decided.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from controller.plan.resources import (
    ManagerPlan,
    ManagerSettings,
    ManagerState,
    ManagerView,
    QueueSettings,
    update_shadow_resources,
)
from controller.plan.resources.replay import (
    digest,
    from_line,
    state_from_text,
    state_to_text,
    to_line,
)
from controller.trouble import Troubles

PREFIX, SUFFIX = "resources-", ".jsonl"
TROUBLE = "record of resources"
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay found. differing: numbers of the cycles (from 1) whose decisions are not those recorded."""

    cycles: int
    decisions: int
    differing: tuple[int, ...]
    digest: str


class DayRecord:
    """directory: made when it is missing. Call `add` from one thread at a time; it never raises."""

    def __init__(self, directory: str | Path, keep_days: int, troubles: Troubles) -> None:
        self.directory = Path(directory)
        self._keep_days = keep_days
        self._troubles = troubles
        self._day = ""
        self._after: ManagerState | None = None  # from which the next line goes on

    def add(
        self,
        view: ManagerView,
        before: ManagerState,
        plan: ManagerPlan,
        after: ManagerState,
        now_s: float,
        settings: ManagerSettings,
    ) -> None:
        """One cycle: its inputs, the states before and after it, and what was decided."""
        day = datetime.fromtimestamp(now_s, UTC).date().isoformat()
        lines = []
        if day != self._day or before is not self._after:
            own = {"settings": asdict(settings), "text": state_to_text(before)}
            lines.append(json.dumps({"state": own}))
        recorded = to_line(view, now_s)
        lines.append(f'{{"digest":"{digest([plan])}",{recorded[1:]}')
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            if day != self._day or self._after is None:
                _cut_torn(self.path(day))
            with self.path(day).open("a", encoding="utf-8") as file:
                file.write("\n".join(lines) + "\n")
            if day != self._day:
                self._forget(day)
        except OSError as error:
            self._after = None
            what = f"{error.filename or self.directory} cannot be written ({error.strerror})"
            self._troubles.begin(TROUBLE, f"{what}: make room, or let umbra write there")
        else:
            self._day, self._after = day, after
            self._troubles.end(TROUBLE)

    def path(self, day: str) -> Path:
        """The file of a day, as 2026-07-01."""
        return self.directory / f"{PREFIX}{day}{SUFFIX}"

    def _forget(self, day: str) -> None:
        kept = sorted(self.directory.glob(f"{PREFIX}????-??-??{SUFFIX}"))
        for old in [one for one in kept if one.name <= self.path(day).name][: -self._keep_days]:
            old.unlink(missing_ok=True)


def check(files: Sequence[Path]) -> Replayed:
    """Decide every recorded cycle again and compare. Raises ValueError for lines that are none (with file and line),
    OSError for files that cannot be read.
    """
    state: ManagerState | None = None
    settings = ManagerSettings()
    cycles = decisions = 0
    differing = []
    plans: list[str] = []
    for place, text in _lines(files):
        try:
            plain = json.loads(text)
            if "state" in plain:
                own = plain["state"]
                queue = QueueSettings(**own["settings"]["queue"])
                settings = ManagerSettings(own["settings"]["period_s"], queue)
                state = state_from_text(own["text"])
                continue
            view, now_s = from_line(text)
            recorded = plain["digest"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{place}: this is no recorded cycle ({error})") from error
        if state is None:
            raise ValueError(
                f"{place}: the state before this cycle is missing; begin with a whole file"
            )
        plan, state = update_shadow_resources(view, state, now_s, settings)
        own_digest = digest([plan])
        plans.append(own_digest)
        cycles += 1
        decisions += len(plan.decisions)
        if own_digest != recorded:
            differing.append(cycles)
    return Replayed(cycles, decisions, tuple(differing), _digest_of(plans))


def _cut_torn(file: Path) -> None:
    """Remove what follows the last whole line: a write that a crash or a full disk cut off. Raises OSError."""
    if not file.exists():
        return
    with file.open("r+b") as opened:
        end = opened.seek(0, os.SEEK_END)
        start = end
        while start > 0:
            before = max(0, start - _CHUNK)
            opened.seek(before)
            place = opened.read(start - before).rfind(b"\n")
            if place >= 0:
                start = before + place + 1
                break
            start = before
        if start < end:
            opened.truncate(start)


def _digest_of(digests: Sequence[str]) -> str:
    """One digest for all cycles, in hexadecimal digits."""
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _lines(files: Sequence[Path]) -> Iterator[tuple[str, str]]:
    for file in files:
        with file.open(encoding="utf-8") as opened:
            for number, text in enumerate(opened, 1):
                if text.strip():
                    yield f"{file}, line {number}", text
