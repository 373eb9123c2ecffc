"""Transmission on one packet socket: many frames per system call with sendmmsg.

The call is made without releasing the interpreter lock: it takes about 1.3 µs per frame, less than
what waiting for the lock would cost behind the gRPC threads.
"""

from __future__ import annotations

import ctypes
import errno
import socket

BATCH = 64
SLOT_BYTES = 2048


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Msghdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint),
        ("iov", ctypes.POINTER(_Iovec)),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Mmsghdr(ctypes.Structure):
    _fields_ = (("header", _Msghdr), ("length", ctypes.c_uint))


_sendmmsg = ctypes.PyDLL(None, use_errno=True).sendmmsg
_sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)


class SendBuffer:
    """Fixed slots for one batch; one buffer serves all ports of a switch, one after the other."""

    def __init__(self) -> None:
        self._memory = (ctypes.c_char * (SLOT_BYTES * BATCH))()
        self._iovecs = (_Iovec * BATCH)()
        self._headers = (_Mmsghdr * BATCH)()
        self._step = ctypes.sizeof(_Mmsghdr)
        base = ctypes.addressof(self._memory)
        for i in range(BATCH):
            self._iovecs[i].base = base + SLOT_BYTES * i
            self._headers[i].header.iov = ctypes.pointer(self._iovecs[i])
            self._headers[i].header.iovlen = 1
        self._address = ctypes.addressof(self._headers)
        self._slots = memoryview(self._memory).cast("B")
        self._lengths = memoryview(self._iovecs).cast("B").cast("Q")

    def send(self, sock: socket.socket, frames: list[bytes]) -> int:
        """Send the frames in order; how many the kernel refused (link down, queue full, too long).

        Frames longer than a slot go one by one.
        """
        refused = 0
        fd = sock.fileno()
        for start in range(0, len(frames), BATCH):
            batch = frames[start : start + BATCH]
            if len(batch) == 1 or max(map(len, batch)) > SLOT_BYTES:
                refused += _send_singly(sock, batch)
                continue
            slots, lengths = self._slots, self._lengths
            offset, index = 0, 1
            for frame in batch:
                size = len(frame)
                slots[offset : offset + size] = frame
                lengths[index] = size
                offset += SLOT_BYTES
                index += 2
            refused += self._flush(fd, len(batch))
        return refused

    def _flush(self, fd: int, count: int) -> int:
        refused = 0
        done = 0
        while done < count:
            sent = _sendmmsg(fd, self._address + done * self._step, count - done, 0)
            if sent > 0:
                done += sent
            elif ctypes.get_errno() != errno.EINTR:
                refused += 1  # the first of the rest; try those behind it
                done += 1
        return refused


def _send_singly(sock: socket.socket, frames: list[bytes]) -> int:
    refused = 0
    for frame in frames:
        try:
            sock.send(frame)
        except OSError:
            refused += 1
    return refused
