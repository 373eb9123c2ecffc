"""A recorded day of the shadow manager, decided once more: the same inputs give the same decisions, bit for bit."""

from __future__ import annotations

import hashlib
import json
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from controller.plan.resources.manager import update_shadow_resources
from controller.plan.resources.state import (
    ManagerPlan,
    ManagerSettings,
    ManagerState,
    ManagerView,
)


def to_line(view: ManagerView, now_s: float) -> str:
    """One cycle's inputs as one line of JSON. Floats keep all their bits; an infinite one is written Infinity."""
    return _text({"now_s": now_s, "view": asdict(view)})


def from_line(line: str) -> tuple[ManagerView, float]:
    """What `to_line` wrote. Raises ValueError for a line that is none."""
    try:
        plain = json.loads(line)
        return _value(ManagerView, plain["view"]), float(plain["now_s"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"this is no recorded cycle of the shadow manager ({error}); record it again"
        ) from error


def state_to_text(state: ManagerState) -> str:
    """Text that `state_from_text` reads back as the same state."""
    return _text(asdict(state))


def state_from_text(text: str) -> ManagerState:
    """The state. Raises ValueError when the text is none."""
    try:
        found = _value(ManagerState, json.loads(text))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"this is no state of the shadow manager: {error}") from error
    if not isinstance(found, ManagerState):
        raise ValueError("this is no state of the shadow manager")
    return found


def replay(
    lines: Iterable[str], settings: ManagerSettings, state: ManagerState | None = None
) -> Iterator[ManagerPlan]:
    """Decide each recorded cycle again, in order. state: before the first one (None: the beginning)."""
    now = state or ManagerState()
    for line in lines:
        view, now_s = from_line(line)
        plan, now = update_shadow_resources(view, now, now_s, settings)
        yield plan


def digest(plans: Iterable[ManagerPlan]) -> str:
    """SHA-256 over all that the plans say, in hexadecimal digits; equal only where every bit is."""
    found = hashlib.sha256()
    for plan in plans:
        found.update(_text(asdict(plan)).encode())
        found.update(b"\n")
    return found.hexdigest()


def _text(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"))


@cache
def _kinds(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _value(kind: Any, plain: Any) -> Any:
    """A value of that type from what `asdict` and JSON made of it."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return (
            None if plain is None else _value(next(a for a in inner if a is not type(None)), plain)
        )
    if origin is tuple:
        if len(inner) == 2 and inner[1] is Ellipsis:
            return tuple(_value(inner[0], one) for one in plain)
        return tuple(_value(one, item) for one, item in zip(inner, plain, strict=True))
    if origin is not None:  # a mapping from names
        return {key: _value(inner[1], item) for key, item in plain.items()}
    if is_dataclass(kind):
        hints = _kinds(kind)  # type: ignore[arg-type]
        return kind(**{f.name: _value(hints[f.name], plain[f.name]) for f in fields(kind)})  # type: ignore[operator]
    if issubclass(kind, Enum):
        return kind(plain)
    if not isinstance(plain, kind) and not (kind is float and isinstance(plain, int)):
        raise ValueError(f"{plain!r} is no {kind.__name__}")
    return plain
