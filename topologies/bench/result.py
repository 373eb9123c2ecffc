"""What a benchmark found: figures with units, the same figures of peers, and the machine that it ran on."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Better = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. `n` is how many measurements it was made from."""

    value: float
    unit: str
    n: int
    better: Better


@dataclass(frozen=True, slots=True)
class Result:
    """Figures by name; `versus` holds each peer's value of the same figures, or under "absent" why there is none.

    `details` are told beside them: what the figures were made from, such as every single run.
    """

    bench: str
    figures: Mapping[str, Figure]
    versus: Mapping[str, Mapping[str, float | str]] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The one report format of all benchmarks."""
        return {
            "bench": self.bench,
            "figures": {name: asdict(figure) for name, figure in self.figures.items()},
            "versus": {peer: dict(values) for peer, values in self.versus.items()},
            **self.details,
            "machine": machine(),
        }


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory_bytes / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
    }
