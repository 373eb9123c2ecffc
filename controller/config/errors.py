"""What is wrong with a configuration, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Path = tuple[str | int, ...]
MOST_SHOWN = 20


def dotted(path: Path) -> str:
    """('switches', 0, 'label') → 'switches[0].label'."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. line: 1-based, 0 when the file as a whole is meant."""

    path: Path
    what: str
    remedy: str
    line: int = 0

    @property
    def key(self) -> str:
        """The key as a person writes it, empty for the file as a whole."""
        return dotted(self.path)


class ConfigError(Exception):
    """The configuration cannot be used. `problems` holds all that was found, in file order."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        self.file = file
        self.problems = tuple(problems)
        super().__init__("\n".join(self._lines()))

    def _lines(self) -> list[str]:
        lines = []
        for problem in self.problems[:MOST_SHOWN]:
            where = f"{self.file}:{problem.line}" if problem.line else self.file
            key = f"{problem.key}: " if problem.path else ""
            lines.append(f"{where}: {key}{problem.what}; {problem.remedy}")
        hidden = len(self.problems) - MOST_SHOWN
        if hidden > 0:
            lines.append(f"{self.file}: … and {hidden} more problems")
        return lines
