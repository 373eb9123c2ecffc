"""The `umbra` command."""

from __future__ import annotations

import typer

from controller.commands import (
    ab,
    addresses,
    audit,
    bgp,
    daemon,
    destinations,
    graph,
    learn,
    look,
    machine,
    models,
    resources,
    router,
    ryu,
    shadows,
    shards,
    show,
    steer,
    store,
)

app = typer.Typer(
    name="umbra",
    help="A predictive controller for networks of P4 routers: have the spare ready before it is "
    "needed.",
    epilog="Start with: umbra doctor",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_START = "Start"
_LOOK = "Look (at a running daemon)"
_STEER = "Steer (a running daemon)"
_LEARN = "Learn"
_TRY = "Try and measure"

for name, function, panel, example in (
    ("run", daemon.run, _START, "umbra run --config umbra.yaml"),
    ("check", daemon.check, _START, "umbra check umbra.yaml"),
    ("ryu", ryu.ryu, _START, "umbra ryu --config umbra.yaml my_app.py"),
    ("doctor", machine.doctor, _START, "umbra doctor --json"),
    ("version", machine.show_version, _START, "umbra version"),
    ("status", look.status, _LOOK, "umbra status --api http://127.0.0.1:8741"),
    ("routers", look.routers, _LOOK, "umbra routers --horizon 60"),
    ("decisions", look.decisions, _LOOK, "umbra decisions --router r1 --limit 5 --follow"),
    ("freeze", steer.freeze, _STEER, "umbra freeze r1"),
    ("unfreeze", steer.unfreeze, _STEER, "umbra unfreeze"),
    ("weight", steer.weight, _STEER, "umbra weight r1 30 (and back: umbra weight r1 auto)"),
    ("dry-run", steer.dry_run, _STEER, "umbra dry-run on"),
    ("train", learn.train, _LEARN, "umbra train --config umbra.yaml"),
    ("backtest", learn.backtest, _LEARN, "umbra backtest --data requests.csv --horizons 60,300"),
    ("demo", show.demo, _TRY, "umbra demo --switch auto --seconds 75 --json demo.json"),
    ("bench", show.bench, _TRY, "umbra bench switch --json"),
):
    app.command(name, rich_help_panel=panel, epilog=f"Example: {example}")(function)
for name, group, panel, example in (
    ("shadows", shadows.shadows, _LOOK, "umbra shadows, or umbra shadows why r1"),
    ("shards", shards.shards, _LOOK, "umbra shards, or umbra shards compact ID"),
    (
        "destinations",
        destinations.destinations,
        _LOOK,
        "umbra destinations, or umbra destinations fail web east",
    ),
    ("graph", graph.graph, _LOOK, "umbra graph picture graph.svg --config umbra.yaml"),
    ("bgp", bgp.bgp, _LOOK, "umbra bgp --run-dir /run/umbra"),
    ("address", addresses.address, _STEER, "umbra address take pod-a web-17"),
    (
        "resources",
        resources.resources,
        _LOOK,
        "umbra resources, or umbra resources decisions --device r1",
    ),
    ("ab", ab.comparisons, _STEER, "umbra ab, or umbra ab start r1 r1b"),
    ("audit", audit.audit, _START, "umbra audit verify umbra-audit.jsonl"),
    ("models", models.models, _LEARN, "umbra models, or umbra models promote VERSION"),
    ("store", store.store, _START, "umbra store init fabric.yaml"),
    ("router", router.router, _STEER, "umbra router drain r1"),
):
    app.add_typer(group, name=name, rich_help_panel=panel, epilog=f"Example: {example}")


def main() -> None:
    """Entry point of the `umbra` command."""
    app()


if __name__ == "__main__":
    main()
