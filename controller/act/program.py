"""The compiled data plane: where it is, and whether its two halves fit each other and the controller."""

from __future__ import annotations

import json as json_module
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import finsy as fy

from controller.act.entries import DIGEST, TABLE_ORDER

JSON, P4INFO = "umbra.json", "umbra.p4info.txtpb"


class ProgramError(ValueError):
    """The compiled program cannot be used: what is wrong, and the remedy."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Files:
    """A compiled program: its P4Info and its BMv2 JSON."""

    p4info: Path
    json: Path


def files(p4info: str | None = None, json: str | None = None) -> Files:
    """The program as configured; what is not named is the one that comes with umbra.

    That is in the source tree, or as installed. Raises ProgramError when it is in neither.
    """
    if p4info is not None and json is not None:
        return Files(Path(p4info), Path(json))
    own = default_files()
    return Files(Path(p4info) if p4info else own.p4info, Path(json) if json else own.json)


def default_files() -> Files:
    """The program that comes with umbra. Raises ProgramError naming where it was looked for."""
    places = (
        Path(__file__).resolve().parents[2] / "p4src" / "build",
        Path(sysconfig.get_path("data")) / "share" / "umbra" / "p4",
    )
    for place in places:
        if (place / JSON).is_file() and (place / P4INFO).is_file():
            return Files(place / P4INFO, place / JSON)
    raise ProgramError(
        f"{JSON} and {P4INFO} are in none of {', '.join(map(str, places))}",
        "compile them with `make p4`, or name them under `p4:` in the configuration",
    )


def check(program: Files) -> None:
    """Compare names: BMv2 takes a P4Info of another program without a word.

    Raises ProgramError for a file that cannot be read, for halves that do not fit, and for a program without the
    tables that umbra writes.
    """
    again = "compile both from the same source in one run of p4c"
    try:
        schema = fy.P4Schema(program.p4info)
        tables = {table.name for table in schema.tables}
        known = {table.alias for table in schema.tables}
        known |= {digest.alias for digest in schema.digests}
    except Exception as error:  # protobuf and finsy raise of many kinds
        raise ProgramError(
            f"{program.p4info}: no P4Info that can be read: {error}", again
        ) from error
    try:
        compiled = set(_tables(json_module.loads(program.json.read_text(encoding="utf-8"))))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProgramError(
            f"{program.json}: no BMv2 JSON that can be read: {error}", again
        ) from error
    missing = sorted(tables - compiled)
    if missing:
        raise ProgramError(
            f"{program.p4info} does not fit {program.json}: "
            f"the program has no table {', '.join(missing)}",
            again,
        )
    lacking = sorted({*TABLE_ORDER, DIGEST} - known)
    if lacking:
        raise ProgramError(
            f"{program.p4info}: umbra writes {', '.join(lacking)}, which this program does not have",
            "use umbra.p4, or a program with its tables",
        )


def _tables(program: Any) -> Iterator[str]:
    for pipeline in program["pipelines"]:
        for table in pipeline["tables"]:
            yield table["name"]
