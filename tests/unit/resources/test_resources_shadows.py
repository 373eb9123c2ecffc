"""Limits of shadows hold, whatever becomes of their groups."""

from __future__ import annotations

import asyncio
from pathlib import Path

from unit.resources.cgroup_trees import populate, v1

from controller.act.resources import Allocator, Place
from controller.model.resources import NOTHING, Allocation, Amounts
from controller.resources.limited import Limited
from controller.resources.settings import Device, Shadow
from controller.resources.shadows import Shadows
from controller.trouble import Troubles

MIB = 1 << 20


def test_a_group_that_was_made_anew_is_limited_again(tmp_path: Path) -> None:
    mounts, place = v1(tmp_path), Place("lab/r2")
    populate(mounts, place.group)
    allocator = Allocator({"r2": place}, mounts=mounts)
    device = Device("r1", NOTHING, Place(), (Shadow("s", "r2", place),))
    limited = Limited({"r2": place}, lambda *_: None, lambda _: None, Troubles())
    shadows = Shadows((device,), allocator, limited, dict, set, Troubles())
    wanted = (Allocation("r1", "s", Amounts(0.5, 64.0 * MIB), "as predicted"),)
    asyncio.run(shadows.allocate(wanted, {}))
    assert allocator.read("r2").cpu_cores == 0.5
    populate(mounts, place.group)
    assert allocator.read("r2").cpu_cores > 0.5
    asyncio.run(shadows.allocate(wanted, {}))
    assert allocator.read("r2").cpu_cores == 0.5
    assert allocator.read("r2").memory_bytes == 64 * MIB
