"""`umbra bench store`, small: every trouble is met, nothing is lost, nothing is there twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.influx import need
from topologies.bench.store import faults
from topologies.servers.influx import running

SAMPLES = 120_000


@pytest.mark.parametrize("major", [None, 1, 2])
def test_no_acknowledged_sample_is_lost_or_doubled(major: int | None, tmp_path: Path) -> None:
    assert os.geteuid() == 0, "mounting a small disk needs root: run the tests as root"
    said: list[str] = []
    if major is None:
        found = faults.endure(None, tmp_path, SAMPLES, said.append)
    else:
        need(major)
        with (
            faults.small_disk(tmp_path / "server", "512m") as disk,
            running(major, disk) as influx,
        ):
            found = faults.endure(influx, tmp_path, SAMPLES, said.append)
        assert all(found.seen[mode] for mode in ("503", "429", "400", "nothing", "lost", "cut"))
    assert (found.lost, found.duplicated, found.discarded) == (0, 0, 0)
    assert found.acked >= SAMPLES - 3 * faults.LEFT_BY_A_KILL
