"""What can go wrong with destinations."""

from __future__ import annotations

from collections.abc import Iterable

from controller.model import Destination


class DestinationError(Exception):
    """A part of the section `destinations` cannot be used; the message says why, and the remedy."""


class UnknownCopy(Exception):
    """There can be no copy of that service at that site. what, remedy: in words."""

    def __init__(self, service: str, site: str, destinations: Iterable[Destination]) -> None:
        """destinations: all that there are, with the sites where their copies may be."""
        known = ", ".join(f"{one.name} at {', '.join(one.sites)}" for one in destinations)
        self.what = f"no copy of {service} can be at {site}"
        self.remedy = f"there may be {known or 'none'}"
        super().__init__(f"{self.what}; {self.remedy}")
