"""What goes wrong while resources are allocated."""

from __future__ import annotations


class AllocationError(RuntimeError):
    """The kernel did not take an allocation, or cannot be asked. The message names the file (or interface) and the
    remedy.
    """
