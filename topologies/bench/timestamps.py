"""The kernel's time stamps of received frames (socket(7), SO_TIMESTAMPNS)."""

from __future__ import annotations

import socket
import struct

SO_TIMESTAMPNS = 35

Ancillary = list[tuple[int, int, bytes]]


def stamp(sock: socket.socket) -> None:
    """Have every frame stamped from now on; `recvmsg` gives the stamps as ancillary data."""
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)


def time_ns(ancillary: Ancillary) -> int:
    """When a frame was received (Unix time). RuntimeError without a stamp."""
    for level, kind, value in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack("qq", value)
            return int(seconds * 1_000_000_000 + nanoseconds)
    raise RuntimeError("the kernel gives no time stamps for received frames")
