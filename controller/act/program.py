"""Where the compiled data plane is."""

from __future__ import annotations

import sysconfig
from dataclasses import dataclass
from pathlib import Path

JSON, P4INFO = "umbra.json", "umbra.p4info.txtpb"


@dataclass(frozen=True, slots=True)
class Files:
    """A compiled program: its P4Info and its BMv2 JSON."""

    p4info: Path
    json: Path


def default_files() -> Files:
    """The program that comes with umbra: from the source tree, or as installed.

    Raises FileNotFoundError naming the places where it was looked for.
    """
    places = (
        Path(__file__).resolve().parents[2] / "p4src" / "build",
        Path(sysconfig.get_path("data")) / "share" / "umbra" / "p4",
    )
    for place in places:
        if (place / JSON).is_file() and (place / P4INFO).is_file():
            return Files(place / P4INFO, place / JSON)
    raise FileNotFoundError(
        f"{JSON} and {P4INFO} are in none of {', '.join(map(str, places))}: "
        "compile them with `make p4`, or name them under `p4:` in the configuration"
    )
