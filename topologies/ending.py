"""Ending a program that was started."""

from __future__ import annotations

import subprocess
from typing import Any

PATIENCE_S = 3.0


def end(process: subprocess.Popen[Any], patience_s: float = PATIENCE_S) -> None:
    """SIGTERM, and SIGKILL when that does not help in time; returns when it has ended."""
    process.terminate()
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
