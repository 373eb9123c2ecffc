"""A peer that speaks Bolt 5.3 on loopback: what a driver sends is kept, what it is answered is up to the test.

From the Bolt and PackStream specifications (neo4j.com/docs/bolt). No graph is behind it.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

MAGIC = b"\x60\x60\xb0\x17"
NAMES = {
    0x01: "HELLO", 0x6A: "LOGON", 0x6B: "LOGOFF", 0x11: "BEGIN", 0x10: "RUN", 0x3F: "PULL",
    0x2F: "DISCARD", 0x12: "COMMIT", 0x13: "ROLLBACK", 0x0F: "RESET", 0x02: "GOODBYE",
}  # fmt: skip
SUCCESS, RECORD, IGNORED, FAILURE = 0x70, 0x71, 0x7E, 0x7F

Rows = tuple[list[str], list[list[Any]]]


class Refused(Exception):
    """Raised by `answer`: (code, message), as the server would."""


@dataclass(slots=True)
class Peer:
    """answer: query and parameters → the names and rows of its result. log: (message, its fields)."""

    answer: Callable[[str, dict[str, Any]], Rows]
    password: str
    port: int = 0
    log: list[tuple[str, list[Any]]] = field(default_factory=list)

    def sent(self, name: str) -> list[list[Any]]:
        """The fields of every message of that name."""
        return [fields for own, fields in self.log if own == name]


@contextmanager
def speaking(peer: Peer) -> Iterator[Peer]:
    """Listens until the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer.port = server.getsockname()[1]
        threading.Thread(target=_accept, args=(server, peer), daemon=True).start()
        yield peer
        server.shutdown(socket.SHUT_RDWR)


def _accept(server: socket.socket, peer: Peer) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(connection, peer), daemon=True).start()


def _serve(connection: socket.socket, peer: Peer) -> None:
    with connection, connection.makefile("rb") as stream:
        hello = stream.read(20)
        if hello[:4] != MAGIC:
            return
        connection.sendall(b"\x00\x00\x03\x05")
        failed = False
        rows: list[list[Any]] = []
        while (body := _message(stream)) is not None:
            name = NAMES[body[1]]
            fields = _Reader(body[2:]).values(body[0] & 0x0F)
            peer.log.append((name, fields))
            if name == "GOODBYE":
                return
            if name == "RESET":
                failed = False
            replies: list[bytes] = []
            if failed:
                replies.append(bytes([0xB0, IGNORED]))
            else:
                meta: dict[str, Any] = {}
                try:
                    if name == "HELLO":
                        meta = {"server": "Neo4j/5.13.0", "connection_id": "bolt-1", "hints": {}}
                    elif name == "LOGON" and fields[0].get("credentials") != peer.password:
                        raise Refused("Neo.ClientError.Security.Unauthorized", "unauthorized")
                    elif name == "RUN":
                        names, rows = peer.answer(fields[0], fields[1])
                        meta = {"fields": names}
                    elif name in ("PULL", "DISCARD"):
                        kept = rows if name == "PULL" else []
                        replies = [bytes([0xB1, RECORD]) + pack(row) for row in kept]
                        meta = {"has_more": False}
                    replies.append(bytes([0xB1, SUCCESS]) + pack(meta))
                except Refused as refusal:
                    failed = True
                    code, message = refusal.args
                    meta = {"code": code, "message": message}
                    replies = [bytes([0xB1, FAILURE]) + pack(meta)]
            for one in replies:
                connection.sendall(struct.pack(">H", len(one)) + one + b"\x00\x00")


def _message(stream: Any) -> bytes | None:
    whole = b""
    while True:
        head = stream.read(2)
        if len(head) < 2:
            return None
        size = struct.unpack(">H", head)[0]
        if size:
            whole += stream.read(size)
        elif whole:
            return whole


def pack(value: Any) -> bytes:
    """PackStream of a value; whole numbers always in eight bytes, lengths in four, which the form allows."""
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return b"\xcb" + struct.pack(">q", value)
    if isinstance(value, float):
        return b"\xc1" + struct.pack(">d", value)
    if isinstance(value, str):
        text = value.encode()
        return b"\xd2" + struct.pack(">I", len(text)) + text
    if isinstance(value, list):
        return b"\xd6" + struct.pack(">I", len(value)) + b"".join(map(pack, value))
    pairs = b"".join(pack(key) + pack(own) for key, own in value.items())
    return b"\xda" + struct.pack(">I", len(value)) + pairs


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def values(self, number: int) -> list[Any]:
        return [self.value() for _ in range(number)]

    def value(self) -> Any:
        mark = self._take(1)[0]
        if mark < 0x80 or mark >= 0xF0:
            return mark if mark < 0x80 else mark - 0x100
        if mark in (0xC0, 0xC2, 0xC3):
            return {0xC0: None, 0xC2: False, 0xC3: True}[mark]
        if mark == 0xC1:
            return struct.unpack(">d", self._take(8))[0]
        if 0xC8 <= mark <= 0xCB:
            return int.from_bytes(self._take(1 << (mark - 0xC8)), "big", signed=True)
        kind, size = mark & 0xF0, mark & 0x0F
        if kind == 0xD0:
            size = int.from_bytes(self._take(1 << (mark & 0x03)), "big")
            kind = {0xD0: 0x80, 0xD4: 0x90, 0xD8: 0xA0}[mark & 0xFC]
        if kind == 0x80:
            return self._take(size).decode()
        if kind == 0x90:
            return self.values(size)
        if kind == 0xA0:
            return {str(self.value()): self.value() for _ in range(size)}
        raise ValueError(f"not known in PackStream: {mark:#x}")

    def _take(self, size: int) -> bytes:
        part = self._content[self._at : self._at + size]
        self._at += size
        return part
