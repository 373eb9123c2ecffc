"""Why the address shadow manager cannot be."""

from __future__ import annotations


class AddressingError(RuntimeError):
    """A file of the section `addresses` cannot be used. The message names it and the remedy."""
