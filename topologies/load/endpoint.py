"""A TCP endpoint as programs of the load are given it."""

from __future__ import annotations


def endpoint(text: str) -> tuple[str, int]:
    """'10.100.0.1:80' → ('10.100.0.1', 80)."""
    address, _, port = text.rpartition(":")
    return address, int(port)
