"""The controller's side of `umbra bench store`: a process of its own, so that it can be killed.

Adds samples with serial numbers to a real Store and says on stdout, line by line: "tried N" before a flush,
"acked N" when all up to N are durable, "behind N" samples not yet proven on the server, "done". It is told on stdin
how far it may go.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

from controller.model import RouterSample
from controller.observe.demand import Demand
from controller.observe.store import Store
from controller.store.influx_http import Login, Server
from controller.store.opening import connect
from controller.store.spool import Spool
from controller.trouble import Troubles

FLUSH_SAMPLES = 2_000
ROUTERS = 200
BACK_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Work:
    """Samples first … until − 1, spread over ROUTERS, one second apart. back: serial numbers between which
    the clock is set back by an hour. ahead: of the server, at most, so that troubles meet the samples and not
    the spool only. url: None for the embedded store.
    """

    path: str
    spool: str
    first: int
    until: int
    start_s: float
    back: tuple[int, int]
    ahead: int = 40_000
    url: str | None = None
    database: str = "bench"
    org: str = "umbra"
    token: str | None = None
    timeout_s: float = 1.0

    def to_json(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Work:
        """The reverse."""
        raw: dict[str, Any] = json.loads(text)
        return Work(**raw | {"back": tuple(raw["back"])})


def make_store(work: Work, troubles: Troubles) -> Store:
    """As the controller would."""
    if work.url is None:
        return Store(work.path, troubles, buffer_rows=200_000)
    url, login = work.url, Login(token=work.token)
    server = Server(url, work.database, work.org, login, work.timeout_s)
    spool = Spool(work.spool, 64 << 20)
    return Store(
        work.path,
        troubles,
        buffer_rows=200_000,
        spool=spool,
        connect=lambda: connect(server),
        prove_s=1.0,
    )


def sample(work: Work, serial: int) -> tuple[RouterSample, Demand]:
    """Its serial number is its count of connections."""
    at_s = work.start_s + serial // ROUTERS
    if work.back[0] <= serial < work.back[1]:
        at_s -= BACK_S
    router = f"r{serial % ROUTERS}"
    made = RouterSample(router, at_s, serial, 20.0, 19.5, 0.0, 30.25, 125_000.0)
    return made, Demand(serial + 0.5, 20.0, 30.25)


def main(text: str) -> None:
    """Work until everything is where it belongs."""
    work = Work.from_json(text)
    store = make_store(work, Troubles())
    serial = allowed = work.first
    while serial < work.until:
        while serial >= allowed:
            _say("behind", _behind(store))
            if select.select([0], [], [], 0.05)[0]:
                allowed = int(os.read(0, 4096).split()[-1])
        for _ in range(min(FLUSH_SAMPLES, work.until - serial)):
            store.add_sample(*sample(work, serial), 0.0)
            serial += 1
        _say("tried", serial - 1)
        while not store.flush():
            time.sleep(0.02)
        _say("behind", _behind(store))
        _say("acked", serial - 1)
        while (behind := _behind(store)) > work.ahead:
            _say("behind", behind)
            time.sleep(0.02)
    while store.delivery is not None and store.delivery.behind:
        _say("behind", _behind(store))
        time.sleep(0.05)
    lost = store.discarded
    store.close()
    _say("discarded", lost)
    print("done", flush=True)


def _behind(store: Store) -> int:
    state = store.delivery_state()
    return state.waiting + state.unproven if state is not None else 0


def _say(what: str, number: int) -> None:
    print(what, number, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
