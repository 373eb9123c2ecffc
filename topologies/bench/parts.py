"""Benchmarks of several parts: what the parts found becomes one result. A part that cannot run here (a program or a
folder is missing) is told under `notes` with the remedy; the others run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ml.evaluation.sources import DataMissing
from topologies.bench.progress import Progress
from topologies.bench.result import Figure, Result


@dataclass(frozen=True, slots=True)
class Part:
    """What one part found; the fields are those of a Result."""

    figures: Mapping[str, Figure]
    versus: Mapping[str, Mapping[str, float | str]] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Found:
    """Figures, peers' figures and details of all parts so far; absent: part → why it did not run."""

    figures: dict[str, Figure] = field(default_factory=dict)
    versus: dict[str, dict[str, float | str]] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def add(
        self,
        figures: Mapping[str, Figure],
        versus: Mapping[str, Mapping[str, float | str]] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """What a part found."""
        self.figures |= figures
        for peer, own in (versus or {}).items():
            self.versus.setdefault(peer, {}).update(own)
        self.details |= details or {}


def gathered(
    bench: str,
    parts: Mapping[str, Callable[[Found], None]],
    progress: Progress,
    only: str | None = None,
) -> Result:
    """Run the parts in their order. What one raises as RuntimeError or DataMissing becomes a note.

    only: names of parts, separated by commas; None: all. Raises RuntimeError for an unknown one.
    """
    names = list(parts) if only is None else [name.strip() for name in only.split(",")]
    if unknown := [name for name in names if name not in parts]:
        raise RuntimeError(f"it has no part {', '.join(unknown)}; there are {', '.join(parts)}")
    found = Found()
    for name in names:
        progress(name)
        try:
            parts[name](found)
        except (RuntimeError, DataMissing) as error:
            found.absent[name] = str(error)
    details = {**found.details, "notes": [f"{name}: {why}" for name, why in found.absent.items()]}
    return Result(bench, found.figures, found.versus, details)
