"""Figures of a run, from records of which the right answer is known."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topologies.load.analysis import (
    Attempt,
    Passage,
    Traffic,
    breaches,
    live,
    per_second,
    percentile,
    read,
    sampled,
    shares_pct,
    spans_above,
    summarise,
    total_s,
)


def passage(
    opened_s: float,
    closed_s: float | None,
    *routers: str,
    address: str = "10.100.0.1",
) -> Passage:
    return Passage(
        *("b1", "10.1.1.10", 40000, address, 80, routers or ("r1",)),
        opened_s=opened_s,
        closed_s=closed_s,
        last_s=closed_s or opened_s,
    )


def attempt(
    outcome: str,
    start_s: float = 0.0,
    connect_ms: float | None = 1.0,
    backends: tuple[str, ...] = ("b1",),
) -> Attempt:
    return Attempt(0, "c1", 1, start_s, start_s + 1, 0.5, outcome, connect_ms, backends)


def test_connections_alive_rise_with_every_syn_and_fall_with_every_fin() -> None:
    series = live([passage(1, 4), passage(2, 3), passage(2, None, "r2")])
    assert series == {"r1": [(1, 1), (2, 2), (3, 1), (4, 0)], "r2": [(2, 1)]}
    assert sampled(series["r1"], [0, 1, 2.5, 3, 9]) == [0, 1, 2, 1, 0]


@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.floats(0.001, 50)).map(
            lambda p: passage(p[0], p[0] + p[1])
        ),
        max_size=40,
    )
)
def test_nothing_is_alive_once_all_are_closed(passages: list[Passage]) -> None:
    for series in live(passages).values():
        assert series[-1][1] == 0
        assert all(count >= 0 for _, count in series)


def test_a_breach_lasts_as_long_as_too_few_are_available() -> None:
    passages = [passage(0, 10), passage(1, 5), passage(2, 4), passage(3, 9)]
    # Capacity 4, threshold 2: in breach with more than 2 alive, from 2 to 5.
    assert breaches(passages, {"r1": 4, "r2": 4}, {"r1": 2, "r2": 2}, 20.0) == {
        "r1": [(2, 5)],
        "r2": [],
    }


def test_a_breach_that_is_not_over_counts_until_the_end() -> None:
    assert spans_above([(1.0, 5), (2.0, 9)], 6, 4.0) == [(2.0, 4.0)]


def test_time_in_breach_of_two_routers_at_once_counts_once() -> None:
    assert total_s([(0, 4), (2, 6), (8, 9)]) == 7


def test_shares_count_only_new_connections_to_that_service_in_that_time() -> None:
    passages = [
        passage(0.5, 9),
        passage(1, 9),
        passage(1.5, 9, "r2"),
        passage(2, 9),
        passage(2.5, 9, address="10.100.0.2"),
        passage(3, 9, "r2"),
    ]
    shares = shares_pct(passages, "10.100.0.1", 1, 3)
    assert shares == {"r1": pytest.approx(200 / 3), "r2": pytest.approx(100 / 3)}


def test_percentiles_are_values_that_occurred() -> None:
    values = [float(n) for n in range(1, 101)]
    assert (percentile(values, 50), percentile(values, 99), percentile(values, 100)) == (
        50,
        99,
        100,
    )
    assert math.isnan(percentile([], 50))


def test_refusals_are_counted_in_the_second_of_the_attempt() -> None:
    attempts = [attempt("refused", 1.2), attempt("refused", 1.9), attempt("ok", 1.5)]
    assert per_second(attempts, "refused", 3) == [0, 2, 0]


def test_a_summary_counts_every_kind_of_failure_and_both_kinds_of_move() -> None:
    traffic = Traffic(
        attempts=(
            *(attempt("ok", connect_ms=n) for n in range(1, 6)),
            attempt("ok", backends=("b1", "b2")),
            attempt("refused", connect_ms=None),
            attempt("refused", connect_ms=None),
            attempt("broken"),
            attempt("timeout", connect_ms=None),
        ),
        passages=(passage(0, 5, "r1", "r2"), passage(0, 5)),
        lost_packets=0,
    )
    summary = summarise(traffic, {"r1": 3}, {"r1": 2}, 10.0)
    assert summary.connections == 10
    assert summary.breach_s == 5
    assert summary.refused_per_1000 == 200
    assert summary.broken_per_1000 == 100
    assert summary.moved_per_1000 == 200
    assert summary.failed_per_1000 == 100
    assert summary.connect_p99_ms == 5


def test_records_of_the_load_programs_are_read(tmp_path: Path) -> None:
    client = {
        "kind": "connection",
        "id": 3,
        "client": "c1",
        "service": 1,
        "start_s": 1.0,
        "end_s": 2.0,
        "late_ms": 0.1,
        "outcome": "refused",
    }
    seen = {
        "kind": "seen",
        "client": "10.1.1.10",
        "client_port": 4,
        "address": "10.100.0.1",
        "port": 80,
        "routers": ["r1"],
        "opened_s": 1.0,
        "last_s": 2.0,
        "closed_s": None,
        "packets": 2,
    }
    (tmp_path / "c1.jsonl").write_text(json.dumps(client) + "\n")
    (tmp_path / "b2.jsonl").write_text(
        f'{json.dumps(seen)}\n{{"kind": "end", "lost_packets": 7}}\n'
    )
    traffic = read([tmp_path / "c1.jsonl"], [tmp_path / "b2.jsonl"])
    assert traffic.lost_packets == 7
    assert (traffic.passages[0].backend, traffic.passages[0].closed_s) == ("b2", None)
    assert (traffic.attempts[0].outcome, traffic.attempts[0].connect_ms) == ("refused", None)


@pytest.mark.parametrize(("opened_s", "moved"), [(0.5, 1), (30.0, 2)])
def test_a_connection_that_both_views_show_as_moved_counts_once(
    opened_s: float, moved: int
) -> None:
    both = replace(attempt("broken", backends=("b1", "b2")), source=("10.1.1.10", 40000))
    # From the same port, but opened after that connection's end: another one.
    traffic = Traffic((both, attempt("ok")), (passage(opened_s, None, "r1", "r2"),), 0)
    summary = summarise(traffic, {"r1": 9}, {"r1": 1}, 40.0)
    assert summary.moved_per_1000 == 500 * moved
