"""What a part of the evaluation gives to the benchmark and to the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Measured:
    """One number. n: how many measurements it was made from. better: which direction is."""

    value: float
    unit: str
    n: int
    better: Literal["lower", "higher"]


@dataclass(frozen=True, slots=True)
class Part:
    """figures: by name, those of one set as "set.name". versus: peer → figure → value, or peer →
    {"absent": reason}. title and html: a section of the report.
    """

    figures: Mapping[str, Measured]
    versus: Mapping[str, Mapping[str, float | str]] = field(default_factory=dict)
    title: str = ""
    html: str = ""
