"""An act of the demo is played once for each of its runs, in a folder of its own, and told."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

pytest.importorskip("mininet", reason="mininet is not installed")

from topologies.demo.acts import BURST, FAILURE, RAMP, SUN, Act, Say
from topologies.demo.run import RUNS


def test_an_act_is_played_once_for_each_run_and_told(tmp_path: Path) -> None:
    played: list[tuple[str, Path, int]] = []

    def once(kind: str, directory: Path, seed: int, way: bool, say: Say) -> int:
        say("begun")
        played.append((kind, directory, seed))
        return int(way)

    act = Act("small", RUNS, lambda way: f"way {way}", once, lambda found: f"it gave {found}")
    screen = io.StringIO()
    found = act.play(Console(file=screen, width=200), "embedded", 3, tmp_path)
    assert found == {"reactive": 0, "predictive": 1}
    assert played == [("embedded", tmp_path / f"small-{run}", 3) for run, _ in RUNS]
    assert "small act, way False: it gave 0" in screen.getvalue()
    assert "small act, way True: it gave 1" in screen.getvalue()


@pytest.mark.parametrize("act", [FAILURE, BURST, SUN, RAMP], ids=lambda act: act.name)
def test_every_act_has_a_way_for_each_run_of_the_demo(act: Act[object, object]) -> None:
    assert [run for run, _ in act.runs] == [run for run, _ in RUNS]
    assert len({act.words(way) for _, way in act.runs}) == len(RUNS)
