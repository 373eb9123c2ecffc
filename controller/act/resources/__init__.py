"""Resources of devices as the kernel gives them: CPU and memory by cgroups (v1 and v2), network by tc(8)."""

from controller.act.resources.allocator import Allocator, Applied
from controller.act.resources.errors import AllocationError
from controller.act.resources.mounts import Mounts, Version, find
from controller.act.resources.place import Place
from controller.act.resources.tree import GroupTree

__all__ = [
    "AllocationError",
    "Allocator",
    "Applied",
    "GroupTree",
    "Mounts",
    "Place",
    "Version",
    "find",
]
