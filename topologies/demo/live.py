"""What the demo shows while it runs (Rich). Connections are counted by the backends; shifts and
forecasts are umbra's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

BAR_CELLS = 32
EVENT_LINES = 6
PLAIN_EVERY_S = 10.0  # without a terminal: one line now and then


@dataclass(frozen=True, slots=True)
class Picture:
    """What there is to see at one moment. `live` and `outcomes` come from the traffic, the rest from the controller."""

    time_s: float
    seconds: float
    live: Mapping[str, int]
    outcomes: Mapping[str, int]
    routers: Mapping[str, Mapping[str, Any]]
    decisions: Sequence[Mapping[str, Any]]


def bar(live: int, capacity: int, threshold: int, cells: int = BAR_CELLS) -> Text:
    """Connections as a bar: green below the threshold, red beyond; the mark shows where it is."""
    limit = capacity - threshold
    filled = min(cells, round(cells * live / capacity))
    mark = min(cells - 1, round(cells * limit / capacity))
    colour = "red" if live > limit else "green"
    text = Text()
    for cell in range(cells):
        if cell == mark:
            text.append("│", "bold yellow")
        else:
            text.append("█" if cell < filled else "·", colour if cell < filled else "dim")
    return text


def expected(router: Mapping[str, Any]) -> str:
    """A router's forecast in a few words."""
    forecast = router.get("forecast")
    if not forecast:
        return "-"
    probability = forecast["breach_probability"]
    lead = forecast["lead_s"]
    text = f"{100 * probability:.0f} %"
    return f"{text} in {lead:.0f} s" if lead is not None and probability >= 0.05 else text


def event(decision: Mapping[str, Any]) -> Text:
    """A decision in one line."""
    colour = {"shift": "yellow", "restore": "green", "hold": "magenta"}.get(
        decision["kind"], "cyan"
    )
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{decision['time_s']:6.1f} s  ", "dim")
    text.append(f"{decision['kind']:<8}", colour)
    text.append(f"{decision['router']}  ", "bold")
    text.append(f"{decision['shift_before_pct']:.0f} → {decision['shift_after_pct']:.0f} %  ")
    text.append(decision["reason"], "dim")
    return text


def plain(picture: Picture, names: Sequence[str]) -> str:
    """A picture in one line of less than 80 columns (four routers): connections, refusals, and shifts if any."""
    parts = [f"{max(0.0, picture.time_s):3.0f}/{picture.seconds:.0f} s"]
    parts += [f"{name} {picture.live.get(name, 0)}" for name in names]
    parts.append(f"refused {picture.outcomes.get('refused', 0)}")
    shares = {name: picture.routers.get(name, {}).get("shift_pct", 0.0) for name in names}
    shifted = ", ".join(f"{name} {share:.0f} %" for name, share in shares.items() if share >= 0.5)
    return "  ".join([*parts, f"shift {shifted}"] if shifted else parts)


class View:
    """The live view; on anything but a terminal, a line every ten seconds."""

    def __init__(
        self,
        console: Console,
        title: str,
        capacity: Mapping[str, int],
        threshold: Mapping[str, int],
    ) -> None:
        self._console = console
        self._title = title
        self._capacity = capacity
        self._threshold = threshold
        self._live = (
            Live(console=console, auto_refresh=False, transient=True)
            if console.is_terminal
            else None
        )
        self._printed_s = -PLAIN_EVERY_S

    def __enter__(self) -> View:
        if self._live is not None:
            self._live.start()
        else:
            rooms = ", ".join(f"{name} {room}" for name, room in self._capacity.items())
            self._print(f"{self._title}, connections of at most {rooms}:")
        return self

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True)

    def __exit__(self, *_error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, picture: Picture) -> None:
        """Draw one picture."""
        if self._live is not None:
            self._live.update(self._panel(picture), refresh=True)
        elif time.monotonic() - self._printed_s >= PLAIN_EVERY_S:
            self._printed_s = time.monotonic()
            self._print(plain(picture, list(self._capacity)))

    def _panel(self, picture: Picture) -> RenderableType:
        table = Table(box=None, expand=False, pad_edge=False)
        for heading in (
            "router",
            "live connections (│ threshold)",
            "alive",
            "available",
            "shift",
            "breach expected",
        ):
            table.add_column(
                heading, justify="left" if heading.startswith(("router", "live")) else "right"
            )
        for name, capacity in self._capacity.items():
            count = picture.live.get(name, 0)
            router = picture.routers.get(name, {})
            available = capacity - count
            colour = "bold red" if available < self._threshold[name] else ""
            table.add_row(
                Text(name, "bold"),
                bar(count, capacity, self._threshold[name]),
                str(count),
                Text(str(available), colour),
                f"{router.get('shift_pct', 0.0):.0f} %",
                expected(router),
            )
        ended = "  ".join(
            f"{name} [bold]{picture.outcomes.get(name, 0)}[/]"
            for name in ("ok", "refused", "broken", "timeout", "reset")
        )
        lines = [event(decision) for decision in picture.decisions[-EVENT_LINES:]]
        lines += [Text("")] * (EVENT_LINES - len(lines))
        time_s, seconds = picture.time_s, picture.seconds
        left = max(0.0, seconds - time_s)
        stage = (
            "starting" if time_s < 0 else f"{left:.0f} s left" if left else "last connections end"
        )
        return Panel(
            Group(
                table, Text(""), Text.from_markup(f"connections ended: {ended}"), Text(""), *lines
            ),
            title=f"[bold]{self._title}[/]  {max(0.0, time_s):.0f} / {seconds:.0f} s  ({stage})",
            border_style="cyan",
        )
