"""The demo's figures and its page, from two small runs of which the right answer is known."""

from __future__ import annotations

import re
from typing import Any

import pytest

from topologies.failure import Failure
from topologies.live import bar
from topologies.load.analysis import Attempt, Passage, Traffic
from topologies.load.interruption import Interruption
from topologies.record import RunRecord, Snapshot, predictions, report
from topologies.report import html

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
    return html(records, runs, found, failures, switch="embedded", seed=1)


def killed(*, replication: bool) -> Failure:
    broken = {} if replication else {"reset": 3}
    found = Interruption(4, broken, 1, 210.0, 20.0, 900.0, (190.0,), (190.0,))
    ends_s = () if replication else (0.2, 0.4, 1.0)
    return Failure(replication, "r1", ("r2", "r3"), found, 40.0, (0.21, 0.9), ends_s)


def test_the_page_needs_nothing_from_elsewhere(records: dict[str, RunRecord]) -> None:
    text = page(records)
    assert not re.search(r"<(script|link|img|iframe)\b", text)
    assert not re.search(r"(?:href|src)=[\"']?https?:", text.replace("xlink:href", "href"))
    assert text.count("<svg") == 5


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
