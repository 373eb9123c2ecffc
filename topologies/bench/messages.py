"""Many packets with one system call: sendmmsg(2)."""

from __future__ import annotations

import ctypes
import errno
import socket
from collections.abc import Sequence


class _IoVec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class _MessageHeader(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    ]


class _MultiMessage(ctypes.Structure):
    _fields_ = [("header", _MessageHeader), ("sent", ctypes.c_uint)]


MOST = 1024  # the kernel takes no more at once


class Messages:
    """Packets, ready for the kernel: any run of them can be sent, as often as wanted."""

    def __init__(self, packets: Sequence[bytes]) -> None:
        content = b"".join(packets)
        self._buffer = ctypes.create_string_buffer(content, len(content))
        self._vectors = (_IoVec * len(packets))()
        self._messages = (_MultiMessage * len(packets))()
        self._send = ctypes.CDLL(None, use_errno=True).sendmmsg
        base, vectors = ctypes.addressof(self._buffer), ctypes.addressof(self._vectors)
        size, offset = ctypes.sizeof(_IoVec), 0
        for index, packet in enumerate(packets):
            vector, header = self._vectors[index], self._messages[index].header
            vector.base, vector.length = base + offset, len(packet)
            header.vectors, header.vector_count = vectors + index * size, 1
            offset += len(packet)

    def __len__(self) -> int:
        return len(self._messages)

    def send(self, sock: socket.socket, first: int, count: int) -> int:
        """Send up to `count` packets from number `first` on; returns how many the kernel took. OSError when none."""
        count = min(count, MOST, len(self) - first)
        start = ctypes.byref(self._messages, first * ctypes.sizeof(_MultiMessage))
        sent = self._send(sock.fileno(), start, count, 0)
        if sent < 0:
            number = ctypes.get_errno()
            if number == errno.ENOBUFS:
                return 0
            raise OSError(number, "sendmmsg")
        return int(sent)
