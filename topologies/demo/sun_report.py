"""The report's section on the day that follows the sun, with its plot."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from matplotlib.axes import Axes

from ml.page_plots import svg
from topologies.demo.plots import panels
from topologies.load.analysis import percentile
from topologies.sun import Mode, Sun
from topologies.sun_load import FALL, RISE, STAY, WAKES

NEAR, FAR, AWAKE = "#2e7d32", "#c2570c", ("#f3ecd9", "#e3ecf5")

WAYS = {
    Mode.STATIC: "without redirects",
    Mode.REACTIVE: "redirects after what came",
    Mode.PREDICTIVE: "redirects after what is forecast",
}

EXPLANATION = (
    "Two services, each at home at one of two sites that are far apart, and clients near both. The clients of one site "
    "are awake while those of the other sleep: the demand for a service follows the sun. Whoever calls a service whose "
    "home is far away waits for the long way there and back. umbra can keep a <i>standby copy</i> of a service at the "
    "other site and send there the <i>new</i> connections of the clients who are near it; connections that exist "
    "stay where they are. In one run it looks at what was asked for of late, in the other it forecasts, from recorded "
    "days, who will ask for what, and has copy and redirect there before. Both runs had the same calls at the same "
    "times."
)


def sentence(suns: Mapping[str, Sun]) -> str:
    """What happened, in words."""
    parts = [
        f"With <b>{WAYS[one.mode]}</b>, {one.nearest_pct:.1f} % of {len(one.answered)} calls were answered at the "
        f"nearest site; a connection took {one.mean_connect_ms():.1f} ms on average."
        for one in suns.values()
        if one.answered
    ]
    return f"<p>{' '.join(parts)}</p>"


def plot(suns: Mapping[str, Sun]) -> str:
    """Each call's time to an open connection, by who called; grey lines are redirects. SVG."""
    places = sorted({call.location for one in suns.values() for call in one.calls})
    figure, axes = panels(len(places), len(suns), 2.0 * len(places))
    for column, one in enumerate(suns.values()):
        for row, place in enumerate(places):
            panel = axes[row][column]
            _shade(panel, one, row)
            _calls(panel, one, place)
            panel.set_xlim(0, one.day.end_s)
            if row == 0:
                panel.set_title(WAYS[one.mode])
            if column == 0:
                panel.set_ylabel(f"{place}: ms to connect")
            if row == len(places) - 1:
                panel.set_xlabel("seconds; clients are awake where it is shaded")
    waits_ms = [wait for one in suns.values() for wait in one.connects_ms()]
    axes[0][0].legend(loc="upper left", fontsize=8, frameon=False, ncols=2)
    for panels_of_row in axes:
        panels_of_row[0].set_ylim(
            0, percentile(waits_ms or [1.0], 99) * 1.4
        )  # and room for the legend
    return svg(figure)


def _shade(panel: Axes, one: Sun, region: int) -> None:
    for number in range(one.day.days):
        begin_s = (number + WAKES[region]) * one.day.period_s
        end_s = begin_s + (RISE + STAY + FALL) * one.day.period_s
        panel.axvspan(begin_s, end_s, color=AWAKE[region], linewidth=0, zorder=0)


def _calls(panel: Axes, one: Sun, place: str) -> None:
    for nearest, tint, words in ((False, FAR, "answered far away"), (True, NEAR, "answered near")):
        found = [
            (call.start_s, call.connect_ms)
            for call in one.calls
            if call.location == place
            and call.site is not None
            and call.nearest is nearest
            and call.connect_ms is not None
        ]
        times_s, waits_ms = zip(*found, strict=True) if found else ((), ())
        panel.scatter(times_s, waits_ms, s=7, color=tint, label=words, linewidths=0)
    for change in one.changes:
        if change.location == place:
            panel.axvline(change.decided_s, color="#777", linewidth=0.8, linestyle="--")


def section(suns: Mapping[str, Sun]) -> str:
    """The content of the section: the sentence, the plot, a table, and the reasons of redirects."""
    rows = "".join(
        f"<tr><td>{WAYS[one.mode]}</td><td class=n>{len(one.calls)}</td>"
        f"<td class=n>{one.nearest_pct:.1f} %</td><td class=n>{one.mean_connect_ms():.1f} ms</td>"
        f"<td class=n>{one.connect_ms(90):.1f} ms</td><td class=n>{len(one.redirects)}</td>"
        f"<td class=n>{one.misdirected_pct:.2f} %</td><td class=n>{one.moved}</td></tr>"
        for one in suns.values()
    )
    head = (
        "<tr><th></th><th class=n>calls</th><th class=n>answered nearest</th><th class=n>connected after, mean</th>"
        "<th class=n>nine of ten</th><th class=n>redirects</th><th class=n>misdirected</th><th class=n>moved</th></tr>"
    )
    reasons = "".join(map(_reasons, suns.values()))
    return f"{sentence(suns)}{plot(suns)}<table>{head}{rows}</table>{reasons}"


def _reasons(one: Sun) -> str:
    if not one.redirects:
        return ""
    rows = "".join(
        f"<tr><td class=n>{change.decided_s:.1f} s</td><td>{escape(change.location)}</td>"
        f"<td>{escape(change.before)} → {escape(change.after)}</td><td>{escape(change.reason)}</td></tr>"
        for change in one.redirects
    )
    head = "<tr><th class=n>at</th><th>clients</th><th>served at</th><th>reason</th></tr>"
    return (
        f"<details><summary>{WAYS[one.mode]}: {len(one.redirects)} changes</summary>"
        f"<table>{head}{rows}</table></details>"
    )
