"""The demo's view where there is no terminal: lines that a log can hold."""

from __future__ import annotations

import io

from rich.console import Console

from topologies.demo.live import Picture, View

CAPACITY = {"r1": 200, "r2": 200, "r3": 200, "r4": 200}


def test_without_a_terminal_a_picture_is_one_line_of_a_terminals_width() -> None:
    file = io.StringIO()
    shares = {"r1": 49.0, "r2": 50.0, "r3": 0.0, "r4": 0.0}
    routers = {name: {"shift_pct": share} for name, share in shares.items()}
    live = {"r1": 140, "r2": 200, "r3": 100, "r4": 101}
    console = Console(file=file, width=80, force_terminal=False)
    with View(console, "predictive run (embedded switches)", CAPACITY, {}) as view:
        view.show(Picture(68.2, 75.0, live, {"refused": 55}, routers, []))
    heading, line = file.getvalue().splitlines()
    assert heading.startswith("predictive run (embedded switches)")
    assert line == (" 68/75 s  r1 140  r2 200  r3 100  r4 101  refused 55  shift r1 49 %, r2 50 %")
    assert len(line) <= 80


def test_on_a_terminal_a_picture_shows_routers_decisions_and_what_became_of_connections() -> None:
    decision = {
        "time_s": 66.0,
        "kind": "shift",
        "router": "r2",
        "shift_before_pct": 40.0,
        "shift_after_pct": 50.0,
        "reason": "a breach is foreseen",
    }
    forecast = {"breach_probability": 0.7, "lead_s": 4.0}
    routers = {"r2": {"shift_pct": 50.0, "forecast": forecast}}
    threshold = dict.fromkeys(CAPACITY, 25)
    console = Console(file=io.StringIO(), width=100, force_terminal=True, record=True)
    with View(console, "predictive run", CAPACITY, threshold) as view:
        view.show(Picture(68.2, 75.0, {"r2": 190}, {"refused": 55}, routers, [decision]))
    text = console.export_text()
    for words in ("190", "50 %", "70 % in 4 s", "refused 55", "a breach is foreseen", "7 s left"):
        assert words in text
