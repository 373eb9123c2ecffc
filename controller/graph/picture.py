"""The graph as an SVG picture: locations, sites, resources and destinations in four columns."""

from __future__ import annotations

from io import BytesIO

import matplotlib
from matplotlib.figure import Figure

from controller.graph.graph import Graph, GraphLink, LinkKind, NodeKey, NodeKind

MOST = 40  # nodes of a kind that are drawn
_COLUMNS = (NodeKind.LOCATION, NodeKind.SITE, NodeKind.RESOURCE, NodeKind.DESTINATION)
_COLOURS = {
    NodeKind.LOCATION: "#2a7fb8",
    NodeKind.SITE: "#444444",
    NodeKind.RESOURCE: "#7a5195",
    NodeKind.DESTINATION: "#c8553d",
}
_LINES = {  # colour, width, dashes
    LinkKind.AT: ("#bbbbbb", 1.0, "-"),
    LinkKind.PRIMARY: ("#c8553d", 1.6, "-"),
    LinkKind.STANDBY: ("#7a5195", 1.6, "--"),
    LinkKind.WANTED: ("#e0a030", 1.0, ":"),
    LinkKind.LINK: ("#2a7fb8", 1.0, "-"),
}


def svg(graph: Graph) -> bytes:
    """The picture. Of more than 40 nodes of a kind, those with most links are drawn, and the rest is told as a number.

    The same graph always gives the same bytes.
    """
    shown, left_out = _shown(graph)
    height = 1.2 + 0.32 * max([len(one) for one in shown.values()], default=1)
    with matplotlib.rc_context({"svg.hashsalt": "umbra", "svg.fonttype": "none"}):
        figure = Figure(figsize=(11.0, height))
        axes = figure.add_axes((0.02, 0.02, 0.96, 0.96))
        axes.set_axis_off()
        axes.set_xlim(-0.35, 3.6)
        axes.set_ylim(-0.09, 1.12)
        places: dict[NodeKey, tuple[float, float]] = {}
        for column, kind in enumerate(_COLUMNS):
            keys = shown[kind]
            for row, key in enumerate(keys):
                places[key] = column, 1.0 - (row + 0.5) / len(keys)
            title = f"{kind.value}s" + (f" (and {left_out[kind]} more)" if left_out[kind] else "")
            axes.text(column, 1.06, title, ha="center", color=_COLOURS[kind], weight="bold")
        for link in graph.links.values():
            if link.key.source in places and link.key.target in places:
                colour, width, dashes = _LINES[link.key.kind]
                (x0, y0), (x1, y1) = places[link.key.source], places[link.key.target]
                axes.annotate(
                    "", (x1, y1), (x0, y0),
                    arrowprops={
                        "arrowstyle": "->", "color": colour, "linewidth": width, "linestyle": dashes,
                        "shrinkA": 5, "shrinkB": 5,
                        "connectionstyle": "arc3,rad=0.25" if x0 == x1 else "arc3,rad=0.04",
                    },
                )  # fmt: skip
                label = _label(link)
                if label:
                    at = x0 + 0.3 * (x1 - x0), y0 + 0.3 * (y1 - y0)
                    axes.text(*at, label, fontsize=6, color=colour, ha="center", va="bottom")
        for key, (x, y) in places.items():
            axes.plot([x], [y], "o", color=_COLOURS[key.kind], markersize=7)
            # Names are told as they are: no mathematics between dollar signs.
            axes.text(x + 0.05, y, key.name, fontsize=8, va="center", parse_math=False)
        for column, (line, (colour, width, dashes)) in enumerate(_LINES.items()):
            x = -0.3 + 0.75 * column
            axes.plot([x, x + 0.15], [-0.05, -0.05], dashes, color=colour, linewidth=width)
            axes.text(x + 0.19, -0.05, line.value, fontsize=7, va="center")
        out = BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": "umbra"})
    return out.getvalue()


def _shown(graph: Graph) -> tuple[dict[NodeKind, list[NodeKey]], dict[NodeKind, int]]:
    links = dict.fromkeys(graph.nodes, 0)
    for key in graph.links:
        links[key.source] += 1
        links[key.target] += 1
    shown: dict[NodeKind, list[NodeKey]] = {}
    left_out: dict[NodeKind, int] = {}
    for kind in _COLUMNS:
        keys = [key for key in graph.nodes if key.kind is kind]
        keys.sort(key=lambda key: (-links[key], key))
        shown[kind], left_out[kind] = sorted(keys[:MOST]), max(0, len(keys) - MOST)
    return shown, left_out


def _label(link: GraphLink) -> str:
    own = link.properties
    if link.key.kind is LinkKind.LINK and "latency_ms" in own:
        return f"{own['latency_ms']:g} ms"
    if link.key.kind is LinkKind.WANTED and "expected_cps" in own:
        return f"{own['expected_cps']:.3g}/s"
    if link.key.kind is LinkKind.STANDBY and "share_cps" in own:
        return f"{own['share_cps']:.3g}/s"
    return ""
