"""Real InfluxDB servers for tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from topologies.servers.influx import Influx, NoServerError, binary, running

__all__ = ["Influx", "need", "running", "until"]


def need(major: int) -> Path:
    """The server's program. Version 1 is installed by the project's set-up: without it the test fails, naming the
    remedy. The others are used where they are.
    """
    from topologies.servers.influx import REMEDIES

    found = binary(major)
    if found is not None:
        return found
    if major == 1:
        raise NoServerError(f"no InfluxDB 1 here; {REMEDIES[1]}")
    pytest.skip(f"no InfluxDB {major} here; {REMEDIES[major]}")


def until(condition: Callable[[], bool], what: str, within_s: float = 60.0) -> None:
    """Wait for it; fails with `what`."""
    end_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end_s, f"not within {within_s} s: {what}"
        time.sleep(0.02)
