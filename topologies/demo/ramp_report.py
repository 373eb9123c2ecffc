"""The report's section on the ramp act, with its plot."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from matplotlib.axes import Axes

from ml.page_plots import svg
from topologies.demo.plots import BREACH, panels
from topologies.ramps import CONNECT_TIMEOUT_S, NONE, REACTIVE, UMBRA, RampRun

OWN, SPARE, LATENCY = "#1769aa", "#2e7d32", "#555555"

WORDS = {
    NONE: "without a shadow",
    REACTIVE: "with a shadow sized by use alone",
    UMBRA: "with a shadow sized by the forecast",
}
EXPLANATION = (
    "A router has a processor of a certain speed, and when more packets come than it can treat, they wait, and then "
    "are lost. Its <i>shadow</i> is a second router with the same configuration that has next to no processor time "
    "as long as it is idle. umbra measures what the router uses and forecasts what it will use; before it is full, "
    "the shadow is given what will be needed, and part of the router's <i>new</i> connections goes there. In the other "
    "run it only forecasts, and nothing moves. Both runs had the same connections at the same times."
)


def way(one: RampRun) -> str:
    """In words."""
    return WORDS[one.way]


def sentence(runs: Mapping[str, RampRun]) -> str:
    """What happened, in words."""
    parts = []
    for one in runs.values():
        moved = (
            "nothing moved"
            if one.moved_s is None
            else f"traffic began to move to the shadow {one.moved_s:.1f} s after the start"
        )
        parts.append(
            f"<b>{way(one).capitalize()}</b>, {moved}; 99 % of {len(one.attempts)} connections were established within "
            f"{one.connect_ms(99):.0f} ms, {one.refused_per_1000:.1f} of 1000 were not served, and the router was "
            f"full for {one.full_s:.1f} s."
        )
    return f"<p>{' '.join(parts)}</p>"


def plot(runs: Mapping[str, RampRun]) -> str:
    """Above, how long each connection took to be established; below, processor time used and given. SVG."""
    figure, axes = panels(2, len(runs), 4.4)
    for column, one in enumerate(runs.values()):
        top, bottom = axes[0][column], axes[1][column]
        _latencies(top, one)
        top.set_title(f"{way(one)}: p99 {one.connect_ms(99):.0f} ms")
        _cores(bottom, one)
        bottom.set_xlabel("seconds")
        if column == 0:
            top.set_ylabel("time to connect, ms")
            bottom.set_ylabel("processor cores")
            bottom.legend(loc="upper left", fontsize=8, frameon=False)
    axes[1][0].set_ylim(bottom=0)
    return svg(figure)


def _latencies(panel: Axes, one: RampRun) -> None:
    came = [(a.start_s, a.connect_ms) for a in one.attempts if a.connect_ms is not None]
    failed = [a.start_s for a in one.attempts if a.connect_ms is None]
    if came:
        times_s, connects_ms = zip(*came, strict=True)
        panel.scatter(times_s, connects_ms, s=3, color=LATENCY, linewidths=0)
    if failed:
        panel.scatter(
            failed, [CONNECT_TIMEOUT_S * 1e3] * len(failed), s=9, marker="x", color=BREACH
        )
    panel.set_yscale("log")
    panel.set_xlim(0, one.shape.seconds)


def _cores(panel: Axes, one: RampRun) -> None:
    times_s = [moment.time_s for moment in one.moments]
    for values, tint, words in (
        ([m.primary_cores for m in one.moments], OWN, "router, used"),
        ([m.shadow_cores for m in one.moments], SPARE, "shadow, used"),
    ):
        panel.plot(times_s, values, color=tint, linewidth=1.6, label=words)
    panel.step(
        times_s,
        [m.given_cores for m in one.moments],
        where="post",
        color=SPARE,
        linewidth=1,
        linestyle=":",
        label="shadow, given",
    )
    panel.axhline(one.capacity_cores, color=BREACH, linewidth=1, linestyle="--", label="router has")
    for moment in one.moments:
        if moment.share_pct > 0:
            panel.axvline(moment.time_s, color=SPARE, linewidth=1, alpha=0.5)
            panel.annotate(
                "traffic moves",
                (moment.time_s, 0),
                (3, 3),
                textcoords="offset points",
                fontsize=8,
            )
            break


def section(runs: Mapping[str, RampRun]) -> str:
    """The content of the section: the sentence, the plot, a table, and the reasons."""
    rows = "".join(
        f"<tr><td>{way(one)}</td><td class=n>{len(one.attempts)}</td>"
        f"<td class=n>{one.connect_ms(50):.1f} ms</td><td class=n>{one.connect_ms(99):.0f} ms</td>"
        f"<td class=n>{one.refused_per_1000:.1f}</td><td class=n>{one.full_s:.1f} s</td>"
        f"<td class=n>{_seconds(one.warm_s)}</td><td class=n>{_seconds(one.moved_s)}</td>"
        f"<td class=n>{one.share_most_pct} %</td></tr>"
        for one in runs.values()
    )
    head = (
        "<tr><th></th><th class=n>connections</th><th class=n>connect, median</th><th class=n>99 %</th>"
        "<th class=n>not served, of 1000</th><th class=n>router full</th><th class=n>shadow warm at</th>"
        "<th class=n>traffic moves at</th><th class=n>largest share</th></tr>"
    )
    return f"{sentence(runs)}{plot(runs)}<table>{head}{rows}</table>{''.join(map(_reasons, runs.values()))}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def _reasons(one: RampRun) -> str:
    if not one.reasons:
        return ""
    rows = "".join(
        f"<tr><td class=n>{time_s:.1f} s</td><td>{escape(reason)}</td></tr>"
        for time_s, reason in one.reasons
    )
    return (
        f"<details><summary>{way(one)}: why shares changed, {len(one.reasons)} decisions</summary>"
        f"<table><tr><th class=n>at</th><th>reason</th></tr>{rows}</table></details>"
    )
