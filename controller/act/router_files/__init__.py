"""Configuration files of real routers (FRR, BIRD): rendered, checked by the program itself, written atomically."""

from controller.act.router_files.render import render
from controller.act.router_files.values import (
    Kind,
    Neighbour,
    RouterFileError,
    RouterSettings,
    Umbra,
)
from controller.act.router_files.write import check, write

__all__ = [
    "Kind",
    "Neighbour",
    "RouterFileError",
    "RouterSettings",
    "Umbra",
    "check",
    "render",
    "write",
]
