"""The parts of the controller that only a section of the configuration brings."""

from __future__ import annotations

from typing import TypeVar

from controller.serve.problems import ApiError

Part = TypeVar("Part")


def configured(part: Part | None, name: str, absent: str, key: str) -> Part:
    """`part`; ApiError 404 when it is None. absent: what this controller then does not do; key: what would bring it."""
    if part is None:
        raise ApiError(
            404,
            f"no-{name}",
            f"No {name} configured",
            f"this controller {absent}",
            f"add {key} to its configuration and start it again",
        )
    return part
