"""The report's section on the burst act, with its plot."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from matplotlib.axes import Axes

from ml.page_plots import svg
from topologies.demo.bursts import Bursts
from topologies.demo.plots import panels

WARM, COLD, HELD, BURST = "#2e7d32", "#c2570c", "#1769aa", "#f3ecd9"

EXPLANATION = (
    "A new virtual machine or container needs an address before it can serve anybody: one is chosen, routers and "
    "NAT are told of it, a network namespace is made, the first packets wait for ARP. umbra does that ahead: from "
    "what came so far and from announced events it forecasts how many instances will come, and for each has a "
    "<i>shadow instance</i> hold an address: a namespace that answers for the address and does nothing else. A "
    "new instance starts in it, with nothing left to set up. Here instances are small TCP servers; most come in "
    "three announced bursts. From outside, through NAT and the fabric, a client calls each as soon as it is said "
    "to be there. Both runs had the same requests at the same times."
)


def sentence(bursts: Mapping[str, Bursts]) -> str:
    """What happened, in words."""
    parts = []
    for one in bursts.values():
        way = "With addresses held ahead" if one.held_ahead else "Without held addresses"
        text = f"<b>{way}</b>, {one.warm} of the {len(one.starts)} instances got a warm address"
        if one.answers_ms():
            text += (
                f"; half of them had given their first answer {one.answer_ms(50):.1f} ms after they were "
                f"requested, nine of ten after {one.answer_ms(90):.1f} ms"
            )
        if one.held_ahead:
            text += f". At most {one.held_most} addresses were held at one time, {one.unused} at the end"
        parts.append(text + ".")
    return f"<p>{' '.join(parts)} {_by_how_much(bursts)}</p>"


def _by_how_much(bursts: Mapping[str, Bursts]) -> str:
    without = [one for one in bursts.values() if not one.held_ahead and one.answers_ms()]
    held = [one for one in bursts.values() if one.held_ahead and one.answers_ms()]
    if not (without and held):
        return ""
    before_ms, after_ms = (round(one.answer_ms(50), 1) for one in (without[0], held[0]))
    sooner = "sooner" if after_ms <= before_ms else "later"
    return (
        f"That is <b>{abs(before_ms - after_ms):.1f} ms {sooner}</b> in the median: "
        f"{before_ms:.1f} → {after_ms:.1f} ms."
    )


def plot(bursts: Mapping[str, Bursts]) -> str:
    """Above, each instance's time to its first answer; below, the addresses held and the instances. SVG."""
    figure, axes = panels(2, len(bursts), 4.2)
    for column, one in enumerate(bursts.values()):
        top, bottom = axes[0][column], axes[1][column]
        for panel in (top, bottom):
            for begin_s in one.shape.bursts_s:
                panel.axvspan(
                    begin_s, begin_s + one.shape.burst_s, color=BURST, linewidth=0, zorder=0
                )
        _answers(top, one)
        way = "addresses held ahead" if one.held_ahead else "addresses on request"
        middle = f": median {one.answer_ms(50):.1f} ms" if one.answers_ms() else ""
        top.set_title(way + middle)
        _stock(bottom, one)
        bottom.set_xlabel("seconds; bursts are shaded")
        if column == 0:
            top.set_ylabel("request to first answer, ms")
            bottom.set_ylabel("addresses")
            bottom.legend(loc="upper left", fontsize=8, frameon=False)
    most_ms = max((ms for one in bursts.values() for ms in one.answers_ms()), default=1.0)
    axes[0][0].set_ylim(0, most_ms * 1.25)  # room for the legend
    axes[1][0].set_ylim(bottom=0)
    return svg(figure)


def _answers(panel: Axes, one: Bursts) -> None:
    for warm, tint, words in ((False, COLD, "cold address"), (True, WARM, "warm address")):
        found = [
            (start.arrival.time_s, start.answer_ms)
            for start in one.starts
            if start.warm is warm and start.answer_ms is not None
        ]
        if found:
            times_s, answers_ms = zip(*found, strict=True)
            panel.scatter(times_s, answers_ms, s=14, color=tint, label=words, linewidths=0)
    if one.answers_ms():
        panel.axhline(one.answer_ms(50), color="#222", linewidth=1, linestyle="--", label="median")
        panel.legend(loc="upper left", fontsize=8, frameon=False, ncols=3)


def _stock(panel: Axes, one: Bursts) -> None:
    times_s = [stock.time_s for stock in one.stock]
    for values, tint, words in (
        ([stock.granted for stock in one.stock], "#555555", "instances"),
        ([stock.held for stock in one.stock], HELD, "held warm"),
    ):
        panel.step(times_s, values, where="post", color=tint, linewidth=1.6, label=words)
    panel.set_xlim(0, max(one.shape.end_s, *times_s) if times_s else one.shape.end_s)


def section(bursts: Mapping[str, Bursts]) -> str:
    """The content of the section: the sentence, the plot, a table, and the planner's reasons."""
    rows = "".join(
        f"<tr><td>{'addresses held ahead' if one.held_ahead else 'addresses on request'}</td>"
        f"<td class=n>{len(one.starts)}</td><td class=n>{one.warm}</td>"
        + "".join(f"<td class=n>{_milliseconds(one, percent)}</td>" for percent in (50, 90, 100))
        + f"<td class=n>{one.unanswered}</td><td class=n>{one.held_most}</td></tr>"
        for one in bursts.values()
    )
    head = (
        "<tr><th></th><th class=n>instances</th><th class=n>warm</th><th class=n>first answer, median</th>"
        "<th class=n>nine of ten</th><th class=n>the last</th><th class=n>never</th>"
        "<th class=n>held at most</th></tr>"
    )
    reasons = "".join(map(_reasons, bursts.values()))
    return f"{sentence(bursts)}{plot(bursts)}<table>{head}{rows}</table>{reasons}"


def _reasons(one: Bursts) -> str:
    if not one.held:
        return ""
    rows = "".join(
        f"<tr><td class=n>{held.time_s:.1f} s</td><td class=n>{held.count}</td>"
        f"<td>{escape(held.reason)}</td></tr>"
        for held in one.held
    )
    head = "<tr><th class=n>at</th><th class=n>addresses</th><th>reason</th></tr>"
    return (
        f"<details><summary>why addresses were held: {len(one.held)} decisions of the planner</summary>"
        f"<table>{head}{rows}</table></details>"
    )


def _milliseconds(one: Bursts, percent: float) -> str:
    return f"{one.answer_ms(percent):.1f} ms" if one.answers_ms() else "-"
