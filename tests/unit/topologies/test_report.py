"""The demo's figures and its page, from two small runs of which the right answer is known."""

from __future__ import annotations

import re
from typing import Any

import pytest

from topologies.demo.bursts import Arrival, Bursts, Shape, Start, Stock
from topologies.demo.failure import Failure
from topologies.demo.live import bar
from topologies.demo.record import Acts, RunRecord, Snapshot, predictions, report
from topologies.demo.report import html
from topologies.load.analysis import Attempt, Passage, Traffic
from topologies.load.interruption import Interruption
from topologies.ramps import REACTIVE, UMBRA, Moment, RampRun, RampShape
from topologies.sun import Call, Change, Mode, Sun
from topologies.sun_load import Day

CAPACITY = {"r1": 4, "r2": 4}
THRESHOLD = {"r1": 2, "r2": 2}


def decision(time_s: float, kind: str, router: str, trigger: str, after: float) -> dict[str, Any]:
    return {
        "time_s": time_s,
        "kind": kind,
        "router": router,
        "trigger": trigger,
        "shift_before_pct": 0.0,
        "shift_after_pct": after,
        "reason": f"because <{trigger}>",
        "decide_to_written_ms": 3.2,
    }


def forecast(time_s: float) -> Snapshot:
    horizons = [{"horizon_s": 10.0, "quantiles": {"p05": 1.0, "p50": 2.0, "p95": 4.0}}]
    state = {
        "shift_pct": 10.0,
        "forecast": {"horizons": horizons, "breach_probability": 0.7, "lead_s": 4.0},
    }
    return Snapshot(time_s, {"r1": state, "r2": {"shift_pct": 0.0, "forecast": None}})


def run(name: str, decisions: list[dict[str, Any]], alive: int) -> RunRecord:
    passages = tuple(
        Passage("b1", "10.1.1.10", port, "10.100.0.1", 80, ("r1",), 10.0 + port / 10, 20.0, 20.0)
        for port in range(alive)
    )
    attempts = tuple(
        Attempt(
            n, "c1", 1, 10.0, 20.0, 0.1, "ok" if n < 3 else "refused", 1.0 if n < 3 else None, ()
        )
        for n in range(4)
    )
    snapshots = tuple(forecast(float(second)) for second in range(30))
    return RunRecord(
        name, 30.0, CAPACITY, THRESHOLD, Traffic(attempts, passages, 0), snapshots, tuple(decisions)
    )


@pytest.fixture
def records() -> dict[str, RunRecord]:
    return {
        "reactive": run("reactive", [decision(10.5, "shift", "r1", "reactive", 10)], alive=4),
        "predictive": run(
            "predictive",
            [
                decision(6.0, "shift", "r1", "prediction", 10),
                decision(7.0, "shift", "r1", "prediction", 20),
                decision(8.0, "restore", "r1", "restore", 19),
                decision(8.5, "shift", "r2", "prediction", 10),
            ],
            alive=2,
        ),
    }


def test_the_lead_time_ends_at_the_breach_that_the_other_run_had(
    records: dict[str, RunRecord],
) -> None:
    found = predictions(records["predictive"], records["reactive"])
    assert [(one.router, one.decided_s, one.lead_s) for one in found] == [
        ("r1", 6.0, pytest.approx(4.2)),
        ("r2", 8.5, None),
    ]


def test_figures_come_from_the_traffic(records: dict[str, RunRecord]) -> None:
    figures = report(records["reactive"], [])
    assert figures["breach_s"] == pytest.approx(9.8)
    assert figures["refused_per_1000"] == 250
    assert (figures["shifts"], figures["shifts_without_reason"], figures["lead_s"]) == (1, 0, [])
    assert report(records["predictive"], [4.2])["breach_s"] == 0


def page(records: dict[str, RunRecord]) -> str:
    found = predictions(records["predictive"], records["reactive"])
    runs = {name: report(record, [4.2]) for name, record in records.items()}
    failures = {"reactive": killed(replication=False), "predictive": killed(replication=True)}
    bursts = {"reactive": burst(held_ahead=False), "predictive": burst(held_ahead=True)}
    suns = {"reactive": sunny(Mode.REACTIVE), "predictive": sunny(Mode.PREDICTIVE)}
    ramps = {"reactive": ramp(REACTIVE), "predictive": ramp(UMBRA)}
    acts = Acts(records, failures, bursts, suns, ramps)
    return html(acts, runs, found, switch="embedded", seed=1)


def burst(*, held_ahead: bool) -> Bursts:
    starts = (Start(Arrival("i1", 4.5, 1), held_ahead, 5.0 if held_ahead else 15.0),)
    return Bursts(held_ahead, Shape(), starts, (Stock(0.0, 2, 0), Stock(5.0, 1, 1)))


def sunny(mode: Mode) -> Sun:
    calls = (Call(1.0, 1, "south", "site1", 22.0, False, False),)
    changes = (Change(0.9, 0.95, 1, "south", "site1", "site2", "expected <there>"),)
    return Sun(mode, Day(), calls, changes, 0)


def ramp(way: str) -> RampRun:
    moments = (
        Moment(0.0, 0.05, 0.0, 0.02, 0.1, 0, False),
        Moment(1.0, 0.1, 0.05, 0.1, 0.2, 40, True),
    )
    attempts = (Attempt(1, "c1", 1, 0.5, 1.0, 0.1, "ok", 2.0, ()),)
    return RampRun(way, RampShape(10.0, 30.0), 0.1, attempts, moments)


def killed(*, replication: bool) -> Failure:
    broken = {} if replication else {"reset": 3}
    found = Interruption(4, broken, 1, 210.0, 20.0, 900.0, (190.0,), (190.0,))
    ends_s = () if replication else (0.2, 0.4, 1.0)
    return Failure(replication, "r1", ("r2", "r3"), found, 40.0, (0.21, 0.9), ends_s)


def test_the_page_needs_nothing_from_elsewhere(records: dict[str, RunRecord]) -> None:
    text = page(records)
    assert not re.search(r"<(script|link|img|iframe)\b", text)
    assert not re.search(r"(?:href|src)=[\"']?https?:", text.replace("xlink:href", "href"))
    assert text.count("<svg") == 8


def test_every_shift_is_on_the_page_with_its_reason(records: dict[str, RunRecord]) -> None:
    text = page(records)
    assert text.count("because &lt;prediction&gt;") == 3
    assert "because <" not in text
    assert "4.2 s" in text
    assert "false alarm" in text


def test_the_same_records_give_the_same_page(records: dict[str, RunRecord]) -> None:
    assert page(records) == page(records)


def test_the_bar_turns_red_beyond_the_threshold() -> None:
    assert "red" not in str(bar(160, 200, 40).spans)
    assert "red" in str(bar(161, 200, 40).spans)
    assert len(bar(500, 200, 40).plain) == len(bar(0, 200, 40).plain)
