"""What a benchmark builds before it measures, and takes down again."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from typing import Self


class Built(ABC):
    """A context manager: all that `_build` puts on `_stack` is taken down at the end, and when building fails."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @abstractmethod
    def _build(self) -> None: ...
