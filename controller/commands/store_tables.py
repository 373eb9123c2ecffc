"""The way to the telemetry server, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text


def delivery(found: Mapping[str, Any]) -> Text:
    """One line: what the server is, and what waits for it."""
    line = Text("telemetry  ")
    name = found["server"] or "a server that has not answered yet"
    line.append(name, style="green" if found["available"] else "red")
    waiting = found["waiting"] + found["unproven"]
    line.append(f", {found['delivered']} samples delivered, {waiting} on their way")
    line.append(f", spool {found['spool_full_pct']:.1f} % full")
    if found["rejected"]:
        line.append(f", {found['rejected']} refused (umbra store rejected)", style="yellow")
    return line
