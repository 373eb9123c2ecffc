"""Measurements that are kept shorter than the rest: a server that does not delete holds nothing else up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from controller.store.delivery import FORGET_TROUBLE, Delivery, pack
from controller.store.forgetting import EVERY_S
from controller.store.influx import InfluxAdapter
from controller.store.influx_http import Server
from controller.store.interface import (
    Capabilities,
    Frame,
    Query,
    Rejected,
    Retention,
    SlowError,
    UnavailableError,
)
from controller.store.point import Point
from controller.store.schema import SCHEMA, Bucket
from controller.store.spool import Spool
from controller.trouble import Troubles

NOW_S = 1_700_000_000.0


class Keeping(InfluxAdapter):
    """Takes everything, gives the canaries back, and fails to delete as long as it is told to."""

    def __init__(self, error: UnavailableError) -> None:
        super().__init__(Server("http://127.0.0.1:1", "db"), "1.8", SCHEMA)
        self.error: UnavailableError | None = error
        self.asked: list[str] = []
        self.canaries: list[tuple[int, float]] = []

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities("keeping", "1.8", own_retention=True, own_downsampling=True, cannot=())

    def forget(self, measurement: str, before_ns: int) -> None:
        self.asked.append(measurement)
        if self.error is not None:
            raise self.error

    def query(self, query: Query) -> list[Frame]:
        times, sequences = zip(*self.canaries, strict=True)
        return [Frame({}, np.array(times), {"sequence": np.array(sequences)})]

    def write_lines(self, bucket: Bucket, lines: Sequence[str]) -> None:
        _, value, time_ns = lines[-1].rsplit(" ", 2)
        self.canaries.append((int(time_ns), float(value.partition("=")[2].rstrip("i"))))

    def write(self, points: Sequence[Point]) -> list[Rejected]:
        raise AssertionError(points)

    def prepare(self, retention: Retention) -> list[str]:
        raise AssertionError(retention)

    def retention(self) -> Mapping[Bucket, float]:
        raise AssertionError


def test_what_is_proven_is_released_though_the_server_does_not_delete(tmp_path: Path) -> None:
    now_s = NOW_S
    server = Keeping(SlowError("it does not answer (timed out)"))
    spool, troubles = Spool(tmp_path, 1 << 20), Troubles()
    spool.open()
    delivery = Delivery(
        spool,
        lambda: server,
        troubles,
        "w",
        keep_s=0.0,
        own_s={"device_requests": 600.0},
        clock=lambda: now_s,
    )
    for _ in range(3):
        spool.append(pack(["devices,device=r1 cpu_cores=1 1700000000000000000"]), 1)
        while delivery.step():
            pass
    assert delivery.state().waiting == delivery.state().unproven == 0
    assert delivery.state().proofs > 0
    assert not delivery.behind
    assert server.asked == ["device_requests"]  # not with every proof
    assert "does not answer" in troubles.open[FORGET_TROUBLE]
    now_s, server.error = NOW_S + EVERY_S, None
    spool.append(pack(["devices,device=r1 cpu_cores=1 1700000001000000000"]), 1)
    while delivery.step():
        pass
    assert server.asked == ["device_requests"] * 2
    assert FORGET_TROUBLE not in troubles.open
    spool.close()
