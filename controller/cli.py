"""The `umbra` command."""

from __future__ import annotations

import typer

from controller.commands import daemon, look, machine, router, ryu, shadows, show, steer

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
    ("demo", show.demo, _TRY, "umbra demo --switch auto --seconds 75 --json demo.json"),
    ("bench", show.bench, _TRY, "umbra bench switch --json"),
):
    app.command(name, rich_help_panel=panel, epilog=f"Example: {example}")(function)
app.add_typer(
    shadows.shadows,
    name="shadows",
    rich_help_panel=_LOOK,
    epilog="Example: umbra shadows, or umbra shadows why r1",
)
app.add_typer(
    router.router,
    name="router",
    rich_help_panel=_STEER,
    help="Take a router out of service, and put it back: drain, undrain.",
)


def main() -> None:
    """Entry point of the `umbra` command."""
    app()


if __name__ == "__main__":
    main()
