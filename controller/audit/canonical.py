"""Any value as JSON values, and these as canonical JSON: the same value always gives the same bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from enum import Enum
from typing import Any


def plain(value: Any) -> Any:
    """A copy made of JSON values. Numbers that are not finite become None, numpy's numbers and arrays Python's,
    dataclasses dictionaries, and what JSON does not know its text.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # numpy's, which need not be loaded to check a log
        return plain(value.tolist())
    return str(value)


def canonical(value: Any) -> bytes:
    """`value`, made of JSON values, as canonical JSON. Raises ValueError for what is not."""
    text = json.dumps(
        value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
    )
    # A lone surrogate (of a file name, say) has no UTF-8: it is written as JSON's own escape.
    return text.encode("utf-8", "backslashreplace")
