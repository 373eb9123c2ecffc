"""File names of the section `addresses`: relative ones are meant from the configuration file's directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

DEFAULTS = {"pool": "umbra-addresses.db", "history": "umbra-instances.db"}
RUN_DIR = "umbra-bgp"


def resolve(section: Any, base: Path) -> None:
    """Make them absolute, in place. What has another shape than it should is left to the checks."""
    if not isinstance(section, dict):
        return
    for key, default in DEFAULTS.items():
        section.setdefault(key, default)
        _absolute(section, key, base)
    for subdivision in _each(section.get("subdivisions")):
        for host in _each(subdivision.get("hosts")):
            _absolute(host, "agent", base)
    bgp = section.get("bgp")
    if isinstance(bgp, dict):
        bgp.setdefault("run_dir", RUN_DIR)
        _absolute(bgp, "run_dir", base)
        for peer in _each(bgp.get("peers")):
            _absolute(peer, "password_file", base)
    for file in _each(section.get("router_files")):
        _absolute(file, "path", base)
        _absolute(file, "template", base)
        if isinstance(file.get("umbra"), dict):
            _absolute(file["umbra"], "password_file", base)


def _each(value: Any) -> Iterator[dict[str, Any]]:
    for one in value if isinstance(value, list) else ():
        if isinstance(one, dict):
            yield one


def _absolute(holder: dict[str, Any], key: str, base: Path) -> None:
    if isinstance(holder.get(key), str) and holder[key]:
        holder[key] = str(base / Path(holder[key]).expanduser())
