"""Where a device is on this machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """group: path of its cgroup below the mount, such as "umbra/run-1/r1"; empty when it has none: then CPU and memory
    are neither limited nor counted. ports: its interfaces in this network namespace; without any, network is not.

    Raises ValueError for a group that would lead out of the mount.
    """

    group: str = ""
    ports: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        parts = self.group.split("/") if self.group else []
        if any(part in ("", ".", "..") for part in parts):
            raise ValueError(
                f"group {self.group!r}: write a relative path such as umbra/r1, without . and .."
            )
