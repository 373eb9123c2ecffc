"""The demo's report: one self-contained HTML page that a stranger understands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from topologies.demo import burst_report, failure_report, plots, ramp_report, sun_report
from topologies.demo.record import Acts, Prediction, RunRecord

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2733; background: #f4f6f8; margin: 0; }
main { max-width: 1060px; margin: 0 auto; padding: 24px 20px 60px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 34px 0 6px; }
p { margin: 6px 0 10px; max-width: 76ch; } .quiet { color: #5b6875; }
section, .cards > div { background: #fff; border: 1px solid #dde3e8; border-radius: 8px; }
section { padding: 4px 20px 16px; margin: 18px 0; overflow-x: auto; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 12px; margin: 18px 0; }
.cards > div { padding: 12px 16px; } .cards b { font-size: 21px; display: block; }
.cards span { color: #5b6875; font-size: 13px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; padding: 5px 10px; border-bottom: 1px solid #e6eaee; vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.better { color: #1b7a3d; font-weight: 600; } .worse { color: #c62828; font-weight: 600; }
details summary { cursor: pointer; padding: 6px 0; } svg { display: block; height: auto; }
"""

# (key, words, unit, is less better?)
FIGURES = (
    ("connections", "connections", "", None),
    ("breach_s", "time in breach", "s", True),
    ("refused_per_1000", "refused, of 1000", "", True),
    ("broken_per_1000", "broken after they were accepted, of 1000", "", True),
    ("moved_per_1000", "moved to another router during their life, of 1000", "", True),
    ("failed_per_1000", "timed out or reset before the first answer, of 1000", "", True),
    ("connect_p50_ms", "connect latency, median", "ms", True),
    ("connect_p99_ms", "connect latency, 99th percentile", "ms", True),
    ("shifts", "shifts decided", "", None),
)


def html(
    acts: Acts,
    runs: Mapping[str, Mapping[str, Any]],
    found: Sequence[Prediction],
    *,
    switch: str,
    seed: int,
) -> str:
    """The whole page. `runs` are the figures of the JSON report."""
    records = acts.records
    reactive, predictive = records["reactive"], records["predictive"]
    capacity = next(iter(reactive.capacity.values()))
    threshold = next(iter(reactive.threshold.values()))
    kind = "BMv2 (simple_switch_grpc)" if switch == "bmv2" else "umbra's embedded switch"
    parts = [
        f"<h1>umbra: the same load, twice</h1><p class=quiet>{len(reactive.capacity)} service routers, "
        f"{runs['reactive']['connections']} real TCP connections per run, {reactive.seconds:.0f} s each, "
        f"{kind}, seed {seed}</p>",
        f"<p>Clients open connections to {len(reactive.capacity)} services. Each has a router of its own, which "
        f"holds at most <b>{capacity}</b> connections and refuses more. With fewer than <b>{threshold}</b> left it is "
        "<b>in breach</b>. "
        "Two of the services outgrow their router for a while, one after the other. umbra can send part of a "
        "router's <i>new</i> connections to two others, its shadows; those that exist stay where they are. "
        "In the <b>reactive</b> run it acts when a router is in breach. In the <b>predictive</b> run it forecasts the "
        "connections of every router and acts before.</p>",
        _cards(runs),
        _section("In figures", _figures(runs), _honesty(records)),
        _section(
            "Connections per router",
            plots.connections(records),
            "Connections alive on each router, counted at the backends from the packets that came through it. The "
            "dashed line is the threshold, the red line the capacity; red areas are time in breach.",
        ),
        _section(
            "Refusals",
            plots.refusals(records),
            "Connections that a full router refused, by the second in which the client tried.",
        ),
        _section(
            "Shifts",
            plots.shifts(records),
            "What part of each router's new connections umbra sent to its shadows. It grows in steps of ten points and "
            "comes back one point at a time.",
        ),
        _section(
            "Forecasts",
            plots.forecasts(predictive, found) or "<p>There was no forecast in this run.</p>",
            f"What umbra expected of each router {plots.FORECAST_HORIZON_S:.0f} seconds ahead, drawn at the moment "
            "it was expected for, with its band, and what came. After a shift fewer came than had been expected: "
            "that was the purpose.",
        ),
        _section("Lead times", _leads(found), LEADS),
        _section(
            "When a router dies",
            failure_report.section(acts.failures),
            failure_report.EXPLANATION,
        ),
        _section(
            "When instances come in bursts",
            burst_report.section(acts.bursts),
            burst_report.EXPLANATION,
        ),
        _section(
            "When demand follows the sun",
            sun_report.section(acts.suns),
            sun_report.EXPLANATION,
        ),
        _section(
            "When more comes than a router can treat",
            ramp_report.section(acts.ramps),
            ramp_report.EXPLANATION,
        ),
        _section(
            "Decisions",
            _decisions(records),
            "Every shift and every hold with its reason; ways back are counted.",
        ),
    ]
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"<title>umbra demo</title><style>{STYLE}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )


LEADS = (
    "A prediction is a shift that began before its router was in breach. Its lead time is how long before the breach "
    "that the reactive run then had on the same router, under the same load."
)


def _section(title: str, content: str, explanation: str) -> str:
    return f"<section><h2>{escape(title)}</h2><p class=quiet>{explanation}</p>{content}</section>"


def _cards(runs: Mapping[str, Mapping[str, Any]]) -> str:
    def card(words: str, key: str, unit: str) -> str:
        before, after = runs["reactive"][key], runs["predictive"][key]
        return f"<div><span>{words}</span><b>{before:g} → {after:g}{unit}</b><span>reactive → predictive</span></div>"

    leads = runs["predictive"]["lead_s"]
    lead = ", ".join(f"{value:.1f}" for value in leads) + " s" if leads else "none"
    return (
        "<div class=cards>"
        + card("time in breach", "breach_s", " s")
        + card("refused, of 1000", "refused_per_1000", "")
        + card("broken, of 1000", "broken_per_1000", "")
        + f"<div><span>predicted ahead by</span><b>{lead}</b><span>lead time of each prediction</span></div></div>"
    )


def _figures(runs: Mapping[str, Mapping[str, Any]]) -> str:
    rows = []
    for key, words, unit, less_is_better in FIGURES:
        before, after = runs["reactive"][key], runs["predictive"][key]
        mark = ""
        if less_is_better and before != after and not key.startswith("connect_"):
            mark = "better" if after < before else "worse"
        rows.append(
            f"<tr><td>{words}</td><td class=n>{before:g} {unit}</td><td class='n {mark}'>{after:g} {unit}</td></tr>"
        )
    head = "<tr><th></th><th class=n>reactive</th><th class=n>predictive</th></tr>"
    return f"<table>{head}{''.join(rows)}</table>"


def _honesty(records: Mapping[str, RunRecord]) -> str:
    lost = sum(record.traffic.lost_packets for record in records.values())
    late_ms = max(record.summary.late_p99_ms for record in records.values())
    seen = "saw every packet" if lost == 0 else f"missed {lost} packets"
    return (
        "All figures come from the traffic: clients record what became of each connection, observers at the backends "
        f"which router it came through. The observers {seen}; 99 % of the connections started within "
        f"{late_ms:.0f} ms of their time. Both runs had the same connections at the same times."
    )


def _leads(found: Sequence[Prediction]) -> str:
    if not found:
        return "<p>No shift was decided by a prediction.</p>"
    rows = "".join(
        f"<tr><td>{escape(one.router)}</td><td class=n>{one.decided_s:.1f} s</td>"
        + (
            f"<td class=n>{one.breach_s:.1f} s</td><td class=n>{one.lead_s:.1f} s</td></tr>"
            if one.breach_s is not None and one.lead_s is not None
            else "<td class=n>none</td><td class=n>false alarm</td></tr>"
        )
        for one in found
    )
    head = (
        "<tr><th>router</th><th class=n>shift decided at</th><th class=n>breach in the reactive run at</th>"
        "<th class=n>lead time</th></tr>"
    )
    return f"<table>{head}{rows}</table>"


def _decisions(records: Mapping[str, RunRecord]) -> str:
    parts = []
    for name, record in records.items():
        told = [decision for decision in record.decisions if decision["kind"] != "restore"]
        back = len(record.decisions) - len(told)
        rows = "".join(
            f"<tr><td class=n>{decision['time_s']:.1f} s</td><td>{escape(decision['router'])}</td>"
            f"<td>{escape(decision['kind'])}</td>"
            f"<td class=n>{decision['shift_before_pct']:.0f} → {decision['shift_after_pct']:.0f} %</td>"
            f"<td>{escape(decision['trigger'])}</td><td>{escape(decision['reason'])}</td>"
            f"<td class=n>{_milliseconds(decision.get('decide_to_written_ms'))}</td></tr>"
            for decision in told
        )
        head = (
            "<tr><th class=n>at</th><th>router</th><th>kind</th><th class=n>share</th><th>because of</th>"
            "<th>reason</th><th class=n>written after</th></tr>"
        )
        summary = f"{name} run: {len(told)} decisions, and {back} steps back"
        opened = " open" if name == "predictive" else ""
        parts.append(
            f"<details{opened}><summary>{escape(summary)}</summary><table>{head}{rows}</table></details>"
        )
    return "".join(parts)


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} ms"
