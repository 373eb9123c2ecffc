"""What instances experience that come in a burst: real ones, on a fabric, with and without addresses held ahead."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from topologies import namespace
from topologies.demo.burst_act import BurstError, act
from topologies.demo.bursts import Shape, arrivals

SMALL = Shape(bursts_s=(3.5,), in_burst=6, end_s=5.0)


def test_instances_of_an_announced_burst_find_warm_addresses(kind: str, tmp_path: Path) -> None:
    found = act(kind, tmp_path, 1, held_ahead=True, shape=SMALL)
    assert [one.arrival for one in found.starts] == list(arrivals(SMALL, 1))
    assert found.unanswered == 0
    in_burst = [one for one in found.starts if one.arrival.burst]
    assert len(in_burst) == 6
    assert sum(one.warm for one in in_burst) > 3
    assert any("an announced event" in held.reason for held in found.held)
    assert found.held_most > 6
    assert found.stock[-1].granted == len(found.starts)


def test_without_a_plan_every_address_is_cold_and_every_instance_still_answers(
    kind: str, tmp_path: Path
) -> None:
    found = act(kind, tmp_path, 1, held_ahead=False, shape=SMALL)
    assert [one.arrival for one in found.starts] == list(arrivals(SMALL, 1))
    assert (found.warm, found.unanswered, found.held_most, found.held) == (0, 0, 0, ())


def test_more_instances_than_addresses_end_the_act_with_the_reason(
    kind: str, tmp_path: Path
) -> None:
    crowd = Shape(bursts_s=(0.5,), in_burst=260, burst_s=0.5, end_s=1.0)
    with pytest.raises(BurstError, match="pod"):
        act(kind, tmp_path, 1, held_ahead=False, shape=crowd)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_act_that_is_stopped_ends_at_once_and_leaves_no_process(
    number: signal.Signals, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = children()
    handler = signal.signal(signal.SIGTERM, namespace._interrupt)
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if text.startswith("2 instances"):
            os.kill(os.getpid(), number)

    try:
        with pytest.raises(KeyboardInterrupt):
            act("embedded", tmp_path, 1, held_ahead=True, shape=SMALL, say=say)
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert children() == before
    assert "Traceback" not in capfd.readouterr().err
    assert not any(text.startswith("9 instances") for text in said)


def children() -> set[int]:
    """Processes that this one has started and that still are there."""
    tasks = Path("/proc/self/task").iterdir()
    return {int(pid) for task in tasks for pid in (task / "children").read_text().split()}
