"""Checks an audit log without a daemon: every line, the chain over all files, and anchors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controller.audit.anchors import Anchor
from controller.audit.files import all_parts, described
from controller.audit.line import GENESIS, Head, Line, LineError, parse
from controller.audit.standing import Remains

MOST_TOLD = 100  # faults and notes; more are only counted


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file, counted from 1; 0: the file as a whole."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that must not be, or in the notes, something to know."""

    place: Place
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


@dataclass(slots=True)
class Report:
    """What was found. first: number of the first line; 0 when there is none. complete: the log's first
    line is among what was read, or the log itself says which parts were dropped.
    """

    files: list[str] = field(default_factory=list)
    chain: str = ""
    lines: int = 0
    first: int = 0
    head: Head = field(default_factory=Head)
    complete: bool = True
    anchors_met: int = 0
    fault_count: int = 0
    faults: list[Fault] = field(default_factory=list)
    notes: list[Fault] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """No fault was found."""
        return not self.fault_count


class Checker:
    """Takes raw lines one by one, in order; `report` says what is wrong with them so far."""

    def __init__(self, anchors: Sequence[Anchor] = ()) -> None:
        self.report = Report()
        self._anchors = sorted(anchors, key=lambda anchor: anchor.sequence)
        self._wanted = {anchor.sequence for anchor in anchors}
        self._started = False
        self._remains: Remains | None = None
        self._remains_at = Place("")
        self._first_part = 1
        self._dropped = 0  # the newest part of which the log says so; those before it went before

    def take(self, raw: bytes, path: Path, number: int) -> Line | None:
        """One more line, which is number `number` of `path`; None when it is none of the log."""
        place = Place(str(path), number)
        try:
            line = parse(raw)
        except LineError as error:
            if self._remains is None:
                self._remains, self._remains_at = Remains(), place
            self._remains.add(raw, error.is_object)
            if error.is_object:
                self._fault(place, f"{error}: it was changed, or not written by the log")
            return None
        self._check(line, place, path)
        return line

    def finish(self) -> Report:
        """After the last line: what is missing, and the anchors."""
        report = self.report
        if self._remains is not None and not self._remains.objects:
            told = f"the last line is torn after {self._remains.bytes} bytes: a write was cut off"
            self._note(self._remains_at, f"{told}; umbra closes it when it opens the log again")
        end = Place(report.files[-1] if report.files else "")
        if self._started and report.first > 1:
            report.complete = self._dropped >= self._first_part - 1
            gone = "was dropped, as the log says" if report.complete else "is not here"
            self._note(Place(report.files[0]), f"what is before line {report.first} {gone}")
        for anchor in self._anchors:
            if anchor.chain and report.chain and anchor.chain != report.chain:
                self._fault(end, f"the anchor at {anchor.sequence} is of another log")
            elif anchor.sequence > report.head.sequence:
                when = f" of {anchor.time}" if anchor.time else ""
                self._fault(
                    end,
                    f"the log ends at {report.head.sequence}, the anchor{when} is of line "
                    f"{anchor.sequence}: its end was cut off",
                )
            elif anchor.sequence < report.first:
                self._note(end, f"the line of the anchor at {anchor.sequence} is not here")
        return report

    def _check(self, line: Line, place: Place, path: Path) -> None:
        report = self.report
        report.lines += 1
        event = line.event
        if not line.whole:
            self._fault(
                place,
                f"was changed after it was written: its content hashes to {line.content_hash}, "
                f"its `hash` says {line.hash}",
            )
        if not self._started:
            self._start(line, place)
        elif event.get("event") == "begun":
            self._fault(
                place, f"another log begins here; the one before ended at {report.head.sequence}"
            )
            report.chain = str(event.get("id", ""))
        else:
            self._check_link(line, place)
        self._check_remains(line, place)
        self._started = True
        report.head = line.head
        if event.get("event") == "dropped":
            self._dropped = max(self._dropped, int(event.get("part", 0)))
        elif event.get("event") == "lost":
            self._fault(
                place,
                f"says that the log ended at {event.get('ends')} when umbra was started, though an "
                f"anchor had {event.get('sequence')}: its end had been cut off",
            )
        for old in event.get("unchained", ()):
            self._check_unchained(old, place, path)
        if line.sequence in self._wanted:
            self._check_anchors(line, place)

    def _start(self, line: Line, place: Place) -> None:
        event = line.event
        self.report.first = line.sequence
        self.report.chain = str(event.get("id", ""))
        self._first_part = int(event.get("part", 1))
        if line.sequence == 1 and line.previous != GENESIS:
            self._fault(place, "is the first of a log, but its `previous` is not 64 zeros")
        if "part" not in event:
            self._fault(
                place,
                f"has sequence {line.sequence} and opens no file: the lines before it were cut off",
            )

    def _check_link(self, line: Line, place: Place) -> None:
        before = self.report.head
        expected = before.sequence + 1
        if line.sequence > expected:
            self._fault(
                place,
                f"has sequence {line.sequence}, after {before.sequence}: "
                f"{line.sequence - expected} lines were removed before it",
            )
        elif line.sequence < expected:
            self._fault(
                place,
                f"has sequence {line.sequence}, after {before.sequence}: lines were repeated or "
                "put in another order, or two programs wrote",
            )
        elif line.previous != before.hash:
            self._fault(
                place,
                f"has `previous` {line.previous}, but the line before it has `hash` "
                f"{before.hash}: that line was replaced",
            )

    def _check_remains(self, line: Line, place: Place) -> None:
        """What stands between this line and the one before, against what this line says of it."""
        told = {key: line.event[key] for key in ("bytes", "sha256") if key in line.event}
        found, at = self._remains, self._remains_at
        self._remains = None
        if found is None:
            if told and self._started:
                self._fault(
                    place,
                    f"says that {told.get('bytes')} torn bytes stand before it: they are gone",
                )
        elif told != found.described():
            if not found.objects:
                what = "and no line says that it was torn" if not told else "and not what was torn"
                self._fault(at, f"is no line of the log, {what}: it was changed")
        elif found.objects:
            self._note(
                place, f"umbra found those {found.bytes} bytes changed when it opened the log"
            )
        else:
            self._note(at, f"torn after {found.bytes} bytes and closed when umbra went on")

    def _check_unchained(self, old: dict[str, Any], place: Place, path: Path) -> None:
        file = path.parent / Path(str(old.get("file", ""))).name
        if not file.is_file():
            self._note(
                place, f"{file} from before the chain ({old.get('lines')} lines) is not here"
            )
            return
        found = described(file)
        if found["sha256"] != old.get("sha256"):
            self._fault(
                Place(str(file)),
                f"was changed: its SHA-256 is {found['sha256']} ({found['lines']} lines), {place} "
                f"says {old.get('sha256')} ({old.get('lines')} lines)",
            )
        else:
            self._note(Place(str(file)), f"{found['lines']} lines from before the chain, unchanged")

    def _check_anchors(self, line: Line, place: Place) -> None:
        for anchor in self._anchors:
            other = anchor.chain and self.report.chain and anchor.chain != self.report.chain
            if anchor.sequence == line.sequence and not other:
                if anchor.hash == line.hash:
                    self.report.anchors_met += 1
                else:
                    self._fault(
                        place,
                        f"has `hash` {line.hash}, the anchor at {anchor.sequence} says "
                        f"{anchor.hash}: it or a line before it was written anew",
                    )

    def _fault(self, place: Place, what: str) -> None:
        self.report.fault_count += 1
        if len(self.report.faults) < MOST_TOLD:
            self.report.faults.append(Fault(place, what))

    def _note(self, place: Place, what: str) -> None:
        if len(self.report.notes) < MOST_TOLD:
            self.report.notes.append(Fault(place, what))


def parts(paths: Sequence[Path]) -> list[Path]:
    """One file that is written stands for the whole log, with the parts put aside; several stand for
    themselves, in the order of their lines. Raises OSError, FileNotFoundError naming what is not there.
    """
    if len(paths) == 1 and (found := all_parts(paths[0])):
        return found
    return sorted(paths, key=_first_sequence)


def lines(paths: Sequence[Path], checker: Checker) -> Iterator[Line]:
    """The lines of these files, checked; `checker.report` is complete after `checker.finish()`."""
    for path in paths:
        checker.report.files.append(str(path))
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                line = checker.take(raw, path, number)
                if line is not None:
                    yield line


def verify(paths: Sequence[Path], anchors: Sequence[Anchor] = ()) -> Report:
    """Check these files (see `parts`). Raises OSError."""
    checker = Checker(anchors)
    for _ in lines(parts(paths), checker):
        pass
    return checker.finish()


def _first_sequence(path: Path) -> int:
    with path.open("rb") as file:
        for raw in file:
            try:
                return parse(raw).sequence
            except LineError:
                continue
    return 0
