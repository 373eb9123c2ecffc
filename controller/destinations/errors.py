"""What can go wrong before the loop of destinations turns."""

from __future__ import annotations


class DestinationError(Exception):
    """A part of the section `destinations` cannot be used; the message says why, and the remedy."""
