"""Decisions for an audit log, and the log read back."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from controller.model import Decision, Kind, Outcome


def entry(number: int, time_s: float = 1000.5) -> tuple[Decision, Outcome]:
    """The decision with id `d{number}`."""
    decision = Decision(
        f"d{number}", time_s, Kind.SHIFT, "r1", 0, 10, ("r2", "r3"), "prediction", "why", {"p": None}
    )  # fmt: skip
    return decision, Outcome(decision.id, ("e1",), (), 3.5)


def lines(file: Path) -> list[dict[str, Any]]:
    """Every line of a file."""
    return [json.loads(line) for line in file.read_text().splitlines()]


def ids(*files: Path) -> list[str]:
    """The ids of the decisions in these files; what is torn is passed over."""
    found = []
    for file in files:
        for raw in file.read_text().splitlines():
            with contextlib.suppress(ValueError):
                line = json.loads(raw)
                found += [line["decision"]["id"]] if "decision" in line else []
    return found
