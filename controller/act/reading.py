"""Reading from a switch through finsy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

import finsy as fy


def read_entities(p4: fy.Switch, asked: Any) -> AsyncIterator[Any]:
    """finsy declares `read` as a coroutine; it is an asynchronous iterator."""
    return cast(AsyncIterator[Any], p4.read(asked))
