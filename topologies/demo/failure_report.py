"""The report's section on the failure act, with its plot."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from ml.page_plots import svg
from topologies.demo.failure import AFTER_S, BEFORE_S, Failure
from topologies.demo.plots import BREACH, panels

BIN_S = 0.1
GOOD = "#2e7d32"

EXPLANATION = (
    "A router keeps in its memory which server each of its connections goes to. When it dies, that is lost, and a "
    "router that takes over can only guess: a connection sent to a server that does not know it is broken off. "
    "With umbra every router tells its shadows about each connection, by packets between the routers themselves, and "
    "when it dies the edges send its connections to the shadows, which know where they belong."
)


def sentence(failures: Mapping[str, Failure]) -> str:
    """What happened, in words."""
    parts = []
    for one in failures.values():
        with_or_without = "With" if one.replication else "Without"
        connections = one.found.connections
        text = (
            f"<b>{with_or_without} replication</b>, {one.survived} of the {connections} connections "
            f"went on when their router {escape(one.router)} was killed, and {one.found.broken_total} broke"
        )
        if one.replication and one.found.struck:
            text += (
                f"; {one.found.struck} had to wait, the longest until "
                f"{one.found.recovery_ms:.0f} ms after the kill"
            )
        parts.append(text + ".")
    return "<p>" + " ".join(parts) + "</p>"


def alive(failure: Failure) -> tuple[list[float], list[int]]:
    """The connections that live, as a step function of the time since the kill."""
    times_s, counts = [-BEFORE_S], [failure.found.connections]
    for number, end_s in enumerate(failure.ends_s, start=1):
        times_s.append(end_s)
        counts.append(failure.found.connections - number)
    return [*times_s, AFTER_S], [*counts, counts[-1]]


def answered_per_s(failure: Failure) -> tuple[list[float], list[float]]:
    """Answers a second, in bins of a tenth: (start of each bin, rate)."""
    bins = round((BEFORE_S + AFTER_S) / BIN_S)
    counts = [0] * bins
    for time_s in failure.answers_s:
        place = int((time_s + BEFORE_S) / BIN_S)
        if 0 <= place < bins:
            counts[place] += 1
    return [-BEFORE_S + BIN_S * place for place in range(bins)], [one / BIN_S for one in counts]


def plot(failures: Mapping[str, Failure]) -> str:
    """Connections that live and the answers that they get, side by side, as SVG."""
    figure, axes = panels(2, len(failures), 3.8)
    for column, one in enumerate(failures.values()):
        top, bottom = axes[0][column], axes[1][column]
        tint = GOOD if one.replication else BREACH
        times_s, counts = alive(one)
        top.step(times_s, counts, where="post", color=tint, linewidth=1.6)
        top.fill_between(times_s, counts, step="post", color=tint, alpha=0.12)
        top.set_title(f"{'with' if one.replication else 'without'} replication")
        top.set_ylim(0, one.found.connections * 1.12)
        top.set_xlim(-BEFORE_S, AFTER_S)
        starts_s, rates = answered_per_s(one)
        bottom.bar(starts_s, rates, width=BIN_S, align="edge", color=tint, alpha=0.75)
        bottom.set_xlabel("seconds since the router was killed")
        for panel in (top, bottom):
            panel.axvline(0.0, color="#222", linewidth=1, linestyle="--")
        top.annotate(
            f"{one.router} is killed",
            (0.0, 0.0),
            (3, 5),
            textcoords="offset points",
            fontsize=8,
        )
        if column == 0:
            top.set_ylabel("connections alive")
            bottom.set_ylabel("answers per s")
    return svg(figure)


def section(failures: Mapping[str, Failure]) -> str:
    """The content of the section: the sentence, the plot, and a table."""
    rows = "".join(
        f"<tr><td>{'with' if one.replication else 'without'} replication</td>"
        f"<td class=n>{one.found.connections}</td>"
        f"<td class='n {'better' if one.replication else ''}'>{one.survived}</td>"
        f"<td class='n {'' if one.replication else 'worse'}'>{one.found.broken_total}</td>"
        f"<td class=n>{_milliseconds(one.detect_ms)}</td>"
        f"<td class=n>{_milliseconds(one.found.recovery_ms if one.survived else None)}</td></tr>"
        for one in failures.values()
    )
    head = (
        "<tr><th></th><th class=n>connections</th><th class=n>went on</th><th class=n>broke</th>"
        "<th class=n>death noticed after</th><th class=n>last survivor answered after</th></tr>"
    )
    return f"{sentence(failures)}{plot(failures)}<table>{head}{rows}</table>"


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"
