"""Commands about the graph of destinations: show, export, import, picture. They ask its store, not the daemon."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.commands.configured import configured
from controller.commands.console import JsonOption, fail, out, print_json
from controller.commands.tables import table
from controller.graph.graph import Graph, GraphError, LinkKind, NodeKind

if TYPE_CHECKING:  # matplotlib and networkx take their time to load: only these commands pay for it
    from controller.graph.interface import GraphStore

graph = typer.Typer(
    help="Look at and move the graph of destinations, resources, locations and links. It is kept where "
    "the configuration says: in a file, or on a Neo4j server (UMBRA_NEO4J_USER, UMBRA_NEO4J_PASSWORD).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", metavar="FILE", help="the configuration")
]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help=".json or .graphml")]


@graph.command(epilog="Example: umbra graph show --config umbra.yaml")
def show(config: ConfigOption, as_json: JsonOption = False) -> None:
    """Show how many nodes and links there are, and which copies each location can be served by."""
    with _store(config) as store:
        found = store.graph()
    nodes = Counter(key.kind.value for key in found.nodes)
    links = Counter(key.kind.value for key in found.links)
    copies = _copies(found)
    if as_json:
        print_json({"nodes": dict(nodes), "links": dict(links), "copies": copies})
        return
    console = out()
    shown = table("Graph", "kind", "number", right=("number",))
    for kind, counts in (("node", nodes), ("link", links)):
        for name, number in sorted(counts.items()):
            shown.add_row(f"{kind} {name}", str(number))
    console.print(shown)
    shown = table(
        "Copies", "destination", "resource", "site", "state", "share/s", right=("share/s",)
    )
    for one in copies:
        shown.add_row(
            *(str(one[key]) for key in ("destination", "resource", "site", "state", "share_cps"))
        )
    console.print(shown)


@graph.command(epilog="Example: umbra graph export graph.graphml --config umbra.yaml")
def export(file: FileArgument, config: ConfigOption) -> None:
    """Write the whole graph into a file."""
    from controller.graph.files import export as write

    with _store(config) as store:
        found = store.graph()
        write(found, file)
    out().print(f"{file}: {len(found.nodes)} nodes, {len(found.links)} links", soft_wrap=True)


@graph.command("import", epilog="Example: umbra graph import graph.json --config umbra.yaml")
def import_(
    file: FileArgument,
    config: ConfigOption,
    yes: Annotated[bool, typer.Option("--yes", help="do it without asking")] = False,
) -> None:
    """Put a file's graph in place of the one in the store. A running controller writes its own again."""
    from controller.graph.files import read

    with _store(config) as store:
        wanted = read(file)
        if not yes:
            typer.confirm(f"Replace what the store holds with {file}?", abort=True)
        change = store.replace(wanted)
    written = len(change.put_nodes) + len(change.put_links)
    gone = len(change.drop_nodes) + len(change.drop_links)
    out().print(f"{written} nodes and links written, {gone} taken out", soft_wrap=True)


@graph.command(epilog="Example: umbra graph picture graph.svg --config umbra.yaml")
def picture(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=".svg")], config: ConfigOption
) -> None:
    """Draw the graph."""
    if file.suffix.lower() != ".svg":
        fail(f"{file}: name the file .svg", 1)
    from controller.graph.files import put
    from controller.graph.picture import svg

    with _store(config) as store:
        drawn = svg(store.graph())
        put(drawn, file)
    out().print(f"{file} written", soft_wrap=True)


@contextmanager
def _store(config: Path) -> Iterator[GraphStore]:
    """Of the configuration; every GraphError ends the command with its text."""
    from controller.graph.stores import open_graph

    section = configured(config, check_files=False).destinations
    if section is None:
        fail(f"{config} has no section destinations: there is no graph", 1)
    try:
        with open_graph(section.graph) as store:
            yield store
    except GraphError as error:
        fail(str(error), 1)


def _copies(found: Graph) -> list[dict[str, str | float]]:
    """Standby copies in the graph."""
    sites = {
        key.source: key.target.name
        for key in found.links
        if key.kind is LinkKind.AT and key.source.kind is NodeKind.RESOURCE
    }
    return [
        {
            "destination": key.source.name,
            "resource": key.target.name,
            "site": sites.get(key.target, ""),
            "state": str(link.properties.get("state", "")),
            "share_cps": round(float(link.properties.get("share_cps", 0.0)), 3),
        }
        for key, link in found.links.items()
        if key.kind is LinkKind.STANDBY
    ]
