"""A pool with one shard, and its clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.pool import Pool
from harness.pools import POD, HandClock, assign


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def pool(tmp_path: Path, clock: HandClock) -> Iterator[Pool]:
    with Pool(tmp_path / "pool.db", clock=clock) as opened:
        opened.register(POD)
        assign(opened, "10.0.0.0/29")
        yield opened
