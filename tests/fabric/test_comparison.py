"""A variant with a program of its own takes part of the new connections of real clients, and is judged."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from controller.act.program import default_files
from controller.config import parse
from controller.daemon import Controller
from topologies.clos import ClosSpec, ServiceSpec, configuration
from topologies.load.analysis import Traffic
from topologies.load.run import LoadRun
from topologies.net import Network
from topologies.ramps import RampShape

PRIMARY, VARIANT = "r1", "r2"
SLOW_MS = 10.0  # what its cables add, each way
PATIENCE_S = 60.0
SHAPE = RampShape(60.0, 60.0, calm_s=12.0, rise_s=0.5, hold_s=0.5, fall_s=0.5, after_s=0.5)
RULES = {
    "shares_pct": [50],
    "stage_blocks": 3,
    "block_s": 0.5,
    "block_connections": 5,
    "least_blocks": 4,
    "margins": {"latency_ratio": 1.5, "loss": 0.2, "refusals": 0.2},
    "probe_ms": 20,
}


def fabric_config(directory: Path, *, slow: bool) -> dict[str, Any]:
    """r1 serves; r2 runs another program, which here is the same under another name.

    A slow one has longer cables: little CPU would also keep it from telling its counters in time.
    """
    own = default_files()
    program = json.loads(own.json.read_text(encoding="utf-8"))
    program["program"] = "a variant of umbra.p4"
    (directory / "variant.json").write_text(json.dumps(program))
    settings: dict[str, Any] = {
        "cycle": {"period_s": 0.25, "predictive": False, "surge": False},
        "failover": {"enabled": False},
        "load_test": {"enabled": False},
        "store": {"path": str(directory / "umbra.db")},
        "audit": {"path": str(directory / "audit.jsonl")},
        "api": {"port": 0},
        "ab": RULES,
    }
    spec = ClosSpec(
        edges=1,
        spines=1,
        routers=2,
        backends=1,
        clients=1,
        services=(ServiceSpec("web", routers=(PRIMARY,)),),
        settings=settings,
    )
    config = configuration(spec)
    for switch in config["switches"]:
        if switch["name"] == VARIANT:
            switch["p4"] = {"json": str(directory / "variant.json"), "p4info": str(own.p4info)}
    for link in config["links"]:
        if slow and any(end.startswith(f"{VARIANT}:") for end in (link["a"], link["b"])):
            link["delay_ms"] = SLOW_MS
    return config


async def until(condition: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        await asyncio.sleep(0.05)


async def compared(kind: str, directory: Path, *, slow: bool) -> tuple[dict[str, Any], Traffic]:
    """The comparison as it ended, or as it stood when the load was over, and what clients saw."""
    config = fabric_config(directory, slow=slow)
    with Network(config, kind, directory) as network:
        controller = Controller(parse(yaml.safe_dump(config)))
        running = asyncio.create_task(controller.run())
        try:
            status = controller.driver.status
            await until(lambda: all(one.reconciled for one in status().values()))
            service = config["services"][0]
            planned = SHAPE.planned(1, 1, service["address"], service["port"])
            load = LoadRun(network, config, planned, directory / "load")
            await asyncio.to_thread(load.start)
            controller.ab.start(PRIMARY, VARIANT)

            def over() -> bool:
                load.poll(0.0)
                return load.done()

            await until(over)
            state = controller.ab.state()
            found: list[dict[str, Any]] = [*state["running"], *state["ended"]]
            return found[0], await asyncio.to_thread(load.finish)
        finally:
            await controller.stop()
            await running


def test_a_variant_that_is_as_good_is_found_fit_and_breaks_no_connection(
    kind: str, tmp_path: Path
) -> None:
    found, traffic = asyncio.run(compared(kind, tmp_path, slow=False))
    assert found["state"] in ("fit", "running")  # on a busy machine it may take longer
    assert found["blocks"] > 3
    assert found["connections"]["variant"] > 50
    assert found["metrics"]["latency"]["variant"] > 0
    assert not any(one.outcome == "broken" for one in traffic.attempts)


def test_a_variant_that_is_slow_is_taken_back_while_clients_go_on(
    kind: str, tmp_path: Path
) -> None:
    found, traffic = asyncio.run(compared(kind, tmp_path, slow=True))
    assert found["state"] == "rolled back", found
    assert found["share_pct"] == 0
    assert found["metrics"]["latency"]["effect"] > 1.5
    assert not any(one.outcome == "broken" for one in traffic.attempts)
