"""What goes wrong with a switch, in words for a person."""

from __future__ import annotations

import finsy as fy


class NodeDown(Exception):
    """The switch is not connected: nothing can be read or written now."""


def describe(error: BaseException) -> str:
    """An error in one line, for a person."""
    if isinstance(error, fy.P4ClientError):
        details = "; ".join(
            f"update {index + 1}: {one.canonical_code.name}"
            + (f": {one.message}" * bool(one.message))
            for index, one in error.details.items()
        )
        return f"{error.code.name}: {error.message}" + (f" ({details})" if details else "")
    return str(error) or type(error).__name__


def rival(p4: fy.Switch) -> str:
    """Another controller is the primary of this switch."""
    return (
        f"another controller holds this switch (election id {p4.primary_id}); "
        "stop it, or take this switch out of the configuration"
    )
