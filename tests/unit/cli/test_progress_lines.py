"""What a benchmark says of its progress when its errors go to a file."""

from __future__ import annotations

import io

from rich.console import Console

from controller.commands.progress_lines import COUNTING_S, ProgressLines


def told(steps: list[tuple[float, str]], terminal: bool = False) -> list[str]:
    file, now = io.StringIO(), [0.0]
    lines = ProgressLines(Console(file=file, force_terminal=terminal), clock=lambda: now[0])
    for at_s, text in steps:
        now[0] = at_s
        lines(text)
    return file.getvalue().splitlines()


def test_every_step_is_a_line_with_the_minutes_that_have_passed() -> None:
    assert told([(0.0, "reading azure"), (90.0, "azure: umbra, seed 0"), (91.0, "intervals")]) == [
        "  0.0 min  reading azure",
        "  1.5 min  azure: umbra, seed 0",
        "  1.5 min  intervals",
    ]


def test_a_count_is_told_now_and_then_only() -> None:
    steps = [(second / 2, f"{second} of 100 operations") for second in range(100)]
    assert len(told(steps)) == 1 + int(steps[-1][0] // COUNTING_S)


def test_a_terminal_has_its_status_line_instead() -> None:
    assert told([(0.0, "reading azure")], terminal=True) == []
