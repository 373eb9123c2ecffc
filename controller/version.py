"""The version of umbra."""

from __future__ import annotations

import importlib.metadata


def version() -> str:
    """The installed version; "unknown" when umbra runs from a tree that was never installed."""
    try:
        return importlib.metadata.version("umbra")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
