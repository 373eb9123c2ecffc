"""The group at a path, of the version that is mounted."""

from __future__ import annotations

from controller.act.resources.group import Group
from controller.act.resources.group_v1 import GroupV1
from controller.act.resources.group_v2 import GroupV2
from controller.act.resources.mounts import Mounts, Version


def group(mounts: Mounts, path: str) -> Group:
    """Whether it exists or not."""
    return GroupV2(mounts, path) if mounts.version is Version.V2 else GroupV1(mounts, path)
