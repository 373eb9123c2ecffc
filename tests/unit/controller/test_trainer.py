"""The controller learns from its own store."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from controller.config import Config, parse
from controller.model import RouterSample
from controller.observe.demand import Demand
from controller.predict import Foresight, make_forecaster, planned_events
from controller.recorder import Recorder
from controller.trainer import Trainer
from controller.trouble import Troubles
from ml.simulate import connections, diurnal

START_S = 1_000_000.0
SECONDS = 1500


def configuration(directory: Path, more: str = "min_history_s: 600") -> Config:
    return parse(f"""\
umbra: 1
store: {{path: {directory}/umbra.db}}
audit: {{path: {directory}/audit.jsonl}}
forecast: {{{more}}}
switches:
  - {{name: r1, stage: router, device_id: 1, address: 'h:1', label: 301,
     mac: '02:00:00:00:03:01', capacity: 400, threshold_available: 100}}
  - {{name: s1, stage: spine, device_id: 2, address: 'h:2', label: 201,
     mac: '02:00:00:00:02:01', subnet: 10.2.1.0/24}}
links: [{{a: 'r1:1', b: 's1:1'}}]
clients: []
backends:
  - {{name: b1, port: 's1:9', ip: 10.2.1.10, mac: '02:00:00:00:05:01', label: 401}}
services:
  - {{id: 1, name: web, address: 10.100.0.1, port: 80, routers: [r1], backends: [b1]}}
""")


def test_training_runs_on_the_stores_history_in_a_process_of_its_own(tmp_path: Path) -> None:
    async def run() -> None:
        config = configuration(tmp_path)
        recorder = Recorder(config, Troubles())
        load = connections(diurnal(15, 0.6, 240), SECONDS, 10.0, 1, target="r1", start_s=START_S)
        for time_s, count, new in zip(load.times_s, load.count, load.new_per_s, strict=True):
            sample = RouterSample("r1", float(time_s), int(count), float(new), 0.0, 0.0, 10.0)
            recorder.store.add_sample(sample, Demand(float(count), float(new), 10.0), 0.0)
        recorder.flush_soon(START_S)
        forecaster = make_forecaster(config)
        trainer = Trainer(config, forecaster, recorder, clock=lambda: START_S + SECONDS)
        assert await trainer.step() > 1400
        assert trainer.trained == 1
        report = forecaster.last_fit
        assert report is not None
        assert report.samples >= 1400
        assert trainer.pid not in (None, os.getpid())
        await trainer.step()  # nothing new has come: no second training
        assert trainer.trained == 1
        foresight = Foresight({"r1": 300.0}, forecaster)
        outlook = foresight.look([load], START_S + SECONDS)["r1"]
        assert outlook.forecast is not None
        assert outlook.forecast.model == ("boosting" if report.accepted else "trend")
        trainer.close()
        await recorder.close()

    asyncio.run(run())


def test_an_event_for_a_service_concerns_its_routers(tmp_path: Path) -> None:
    event = "{name: sale, start: 1970-01-01T00:00:10Z, end: 20, services: [web], factor: 3}"
    (found,) = planned_events(configuration(tmp_path, f"events: [{event}]"))
    assert (found.start_s, found.end_s, found.targets, found.expected_factor) == (
        10.0,
        20.0,
        ("r1",),
        3.0,
    )
