"""Reception from one interface through a memory-mapped AF_PACKET ring (TPACKET_V2).

Reading a frame is a memory copy without a system call (about 0.3 µs in CPython against 1.0 µs for
recv). Constants and layouts: linux/if_packet.h, packet(7).
"""

from __future__ import annotations

import mmap
import os
import socket
import struct

SOL_PACKET = 263
PACKET_ADD_MEMBERSHIP = 1
PACKET_RX_RING = 5
PACKET_STATISTICS = 6
PACKET_COPY_THRESH = 7
PACKET_VERSION = 10
PACKET_IGNORE_OUTGOING = 23
TPACKET_V2 = 1
PACKET_MR_PROMISC = 1
ETH_P_ALL = 3

STATUS_USER = 1 << 0
STATUS_COPY = 1 << 1
STATUS_VLAN_VALID = 1 << 4
STATUS_VLAN_TPID_VALID = 1 << 6

FRAME_BYTES = 2048
FRAMES = 1024
BLOCK_BYTES = 64 * FRAME_BYTES
_WORDS = FRAME_BYTES // 4
_HALVES = FRAME_BYTES // 2


class RxRing:
    """A bound, promiscuous packet socket that does not see what this host sends."""

    def __init__(self, interface: str) -> None:
        """OSError from the kernel when the interface is missing or the rights are."""
        self.interface = interface
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            self._set_up()
        except BaseException:
            self.socket.close()
            raise
        self._map = mmap.mmap(self.socket.fileno(), FRAME_BYTES * FRAMES)
        self._words = memoryview(self._map).cast("I")
        self._halves = memoryview(self._map).cast("H")
        self._next = 0
        self.drops = 0

    def _set_up(self) -> None:
        sock = self.socket
        sock.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
        sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        # Frames longer than a slot (offloads left on) come whole through recv().
        sock.setsockopt(SOL_PACKET, PACKET_COPY_THRESH, 1)
        blocks = FRAME_BYTES * FRAMES // BLOCK_BYTES
        request = struct.pack("IIII", BLOCK_BYTES, blocks, FRAME_BYTES, FRAMES)
        sock.setsockopt(SOL_PACKET, PACKET_RX_RING, request)
        sock.setblocking(False)
        self.bind()

    def bind(self) -> None:
        """Attach to the interface of this name; again after it was removed and created anew."""
        index = socket.if_nametoindex(self.interface)
        self.socket.bind((self.interface, ETH_P_ALL))
        membership = struct.pack("iHH8s", index, PACKET_MR_PROMISC, 0, b"")
        self.socket.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership)

    def receive(self, limit: int) -> list[bytes]:
        """Up to `limit` frames that have arrived, oldest first, VLAN tags in place."""
        frames: list[bytes] = []
        words, halves, data = self._words, self._halves, self._map
        position = self._next
        for _ in range(limit):
            word = position * _WORDS
            status = words[word]
            if not status & STATUS_USER:
                break
            if status & (STATUS_COPY | STATUS_VLAN_VALID):
                self._take_special(position, status, frames)
            else:
                start = position * FRAME_BYTES + halves[position * _HALVES + 6]
                frames.append(data[start : start + words[word + 2]])
            words[word] = 0  # back to the kernel
            position += 1
            if position == FRAMES:
                position = 0
        self._next = position
        return frames

    def _take_special(self, position: int, status: int, frames: list[bytes]) -> None:
        half = position * _HALVES
        start = position * FRAME_BYTES + self._halves[half + 6]
        frame = self._map[start : start + self._words[position * _WORDS + 2]]
        if status & STATUS_COPY:
            try:
                frame = self.socket.recv(1 << 17)
            except OSError:
                self.drops += 1
                return
        if status & STATUS_VLAN_VALID:
            # The kernel takes the outer tag out of the frame; put it back.
            has_tpid = status & STATUS_VLAN_TPID_VALID
            tpid = self._halves[half + 13] if has_tpid else 0x8100
            frame = frame[:12] + struct.pack("!HH", tpid, self._halves[half + 12]) + frame[12:]
        frames.append(frame)

    def update_drops(self) -> int:
        """Frames that found the ring full, since the start."""
        raw = self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
        self.drops += struct.unpack("II", raw)[1]
        return self.drops

    def clear_error(self) -> int:
        """The pending socket error (errno, 0 for none), which is cleared: ENETDOWN and the like."""
        return self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def fileno(self) -> int:
        """For epoll."""
        return self.socket.fileno()

    def close(self) -> None:
        """Give the ring back."""
        self._words.release()
        self._halves.release()
        self._map.close()
        self.socket.close()


def is_up(interface: str) -> bool:
    """Whether the link is there and has a carrier."""
    try:
        with open(f"/sys/class/net/{os.path.basename(interface)}/operstate") as file:
            return file.read().strip() in ("up", "unknown")
    except OSError:
        return False
