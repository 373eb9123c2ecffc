"""How a benchmark says what it is doing."""

from collections.abc import Callable

Progress = Callable[[str], None]
