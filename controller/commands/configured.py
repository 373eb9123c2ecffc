"""The configuration that a command is given."""

from __future__ import annotations

from pathlib import Path

import typer

from controller.commands.console import err
from controller.config import Config, ConfigError, load


def configured(file: Path, *, check_files: bool = True) -> Config:
    """The configuration; tells what is wrong with it, and ends the command then."""
    try:
        return load(file, check_files=check_files)
    except ConfigError as error:
        err().print(str(error), style="red")
        raise typer.Exit(1) from None
