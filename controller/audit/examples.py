"""The audit log as a training record: decisions, what they were made from, and what came of them.

A line is an example when its subject (`decision`, `allocation`, …) is an object with an `id`: `inputs` is
what it was made from, everything else what was decided. `outcome` on the same line and later lines
`{"result": {"of": ID, …}}` say what came of it; of two results that name the same figure the later one holds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from controller.audit.line import Line
from controller.audit.verify import Checker, lines, parts

WITHIN_S = 86_400.0
MOST_OPEN = 100_000  # examples that wait for results
_CHAIN = frozenset({"time", "sequence", "previous", "hash", "chain", "outcome", "result"})


class UnsoundError(ValueError):
    """The log was changed: nothing may be learned from it."""


@dataclass(frozen=True, slots=True)
class Example:
    """subject: "decision", "allocation", …; target: the router or device. decided: the decision's
    members but for inputs. result: what came of it; empty when the log says nothing.
    """

    sequence: int
    time_s: float
    subject: str
    id: str
    target: str
    inputs: Mapping[str, Any]
    decided: Mapping[str, Any]
    result: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "sequence": self.sequence,
            "time_s": self.time_s,
            "subject": self.subject,
            "id": self.id,
            "target": self.target,
            "inputs": dict(self.inputs),
            "decided": dict(self.decided),
            "result": dict(self.result),
        }


def examples(
    paths: Sequence[Path],
    subjects: Collection[str] | None = None,
    within_s: float = WITHIN_S,
    checked: bool = True,
) -> Iterator[Example]:
    """Every decision, in the order of the log, once its results are in: those of the next `within_s`
    of the log's own time (at most `MOST_OPEN` decisions wait).

    subjects: only these. paths: as for `verify.parts`. checked: raise UnsoundError at the first line that was
    changed; what was yielded before is sound. Raises OSError.
    """
    checker = Checker()
    waiting: dict[str, Example] = {}
    now_s = float("-inf")
    for line in lines(parts(paths), checker):
        if checked and not checker.report.sound:
            raise UnsoundError(str(checker.report.faults[0]))
        if not line.event:  # those have the machine's time, decisions the controller's
            now_s = max(now_s, _time_s(line))
        result = line.body.get("result")
        if isinstance(result, dict):
            _join(waiting, result)
        made = _example(line)
        if made is not None and (subjects is None or made.subject in subjects):
            if made.id in waiting:  # its number was used again: the one before has all it will get
                yield waiting.pop(made.id)
            waiting[made.id] = made
        while waiting:
            oldest = next(iter(waiting.values()))
            if now_s - oldest.time_s < within_s and len(waiting) <= MOST_OPEN:
                break
            yield waiting.pop(oldest.id)
    if checked and not checker.report.sound:
        raise UnsoundError(str(checker.report.faults[0]))
    yield from waiting.values()


def _example(line: Line) -> Example | None:
    for subject, told in line.body.items():
        if subject in _CHAIN or not isinstance(told, dict) or "id" not in told:
            continue
        decided = {key: value for key, value in told.items() if key not in ("id", "inputs")}
        inputs, outcome = told.get("inputs"), line.body.get("outcome")
        result = dict(outcome) if isinstance(outcome, dict) else {}
        result.pop("decision_id", None)
        return Example(
            line.sequence,
            _time_s(line),
            subject,
            str(told["id"]),
            str(told.get("router") or told.get("device") or told.get("target") or ""),
            inputs if isinstance(inputs, dict) else {},
            decided,
            result,
        )
    return None


def _join(waiting: dict[str, Example], result: Mapping[str, Any]) -> None:
    of = str(result.get("of", ""))
    if of in waiting:
        before = waiting[of]
        told = {key: value for key, value in result.items() if key != "of"}
        waiting[of] = Example(
            before.sequence,
            before.time_s,
            before.subject,
            before.id,
            before.target,
            before.inputs,
            before.decided,
            {**before.result, **told},
        )


def _time_s(line: Line) -> float:
    try:
        return datetime.fromisoformat(str(line.body.get("time"))).timestamp()
    except ValueError:
        return float("-inf")
