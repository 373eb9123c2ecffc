"""The recorder keeps the store within its retention, however much comes."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path

from controller.config import parse
from controller.model import SampledConnection
from controller.recorder import Recorder
from controller.store.sqlite import PRUNE_ROWS
from controller.trouble import Troubles
from harness.yaml_fabric import FABRIC_YAML

DAY_S = 86400.0


def test_more_reported_connections_than_one_batch_are_forgotten_in_time(tmp_path: Path) -> None:
    config = parse(
        f"store: {{path: {tmp_path}/umbra.db, retention_s: {DAY_S:g}}}\n"
        f"audit: {{path: {tmp_path}/audit.jsonl}}\n" + FABRIC_YAML
    )
    recorder = Recorder(config, Troubles())
    old = [
        SampledConnection("e1", float(n), "10.1.1.10", "10.100.0.1", 6, 40000, 80, 1, 301)
        for n in range(3 * PRUNE_ROWS)
    ]
    recorder.connections(old)
    recorder.flush_soon(old[-1].time_s + 2 * DAY_S)
    asyncio.run(recorder.close())
    with contextlib.closing(sqlite3.connect(tmp_path / "umbra.db")) as found:
        (left,) = found.execute("SELECT count(*) FROM connections").fetchone()
    assert left < PRUNE_ROWS
