"""A real TCP proxy before a real server that answers as servers do when they are in trouble."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum

HEAD = 64 << 10
PIECE = 256 << 10


class Mode(StrEnum):
    """What becomes of a request."""

    PASS = "pass"  # it goes to the server
    BUSY = "503"
    LIMITED = "429"  # with Retry-After
    BAD = "400"
    NOTHING = "nothing"  # it is read, and never answered
    LOST = "lost"  # the server takes it, its answer is thrown away
    CUT = "cut"  # the connection is reset


_SAID = {
    Mode.BUSY: "HTTP/1.1 503 Service Unavailable\r\n",
    Mode.LIMITED: "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0.3\r\n",
    Mode.BAD: "HTTP/1.1 400 Bad Request\r\n",
}


class FaultyProxy:
    """Listens on a free loopback port; every request is looked at by itself. `seen`: requests by mode.
    silent_about: while it passes requests on, those whose first line has this get no answer.
    """

    def __init__(self, target_port: int) -> None:
        self.mode = Mode.PASS
        self.silent_about: str | None = None
        self.target_port = target_port
        self.seen: dict[Mode, int] = dict.fromkeys(Mode, 0)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._closing = threading.Event()
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """No more connections."""
        self._closing.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            while (request := _request(client)) is not None:
                mode = Mode.NOTHING if self._silent(request) else self.mode
                self.seen[mode] += 1
                if mode is Mode.CUT:
                    client.setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
                    )  # RST
                    return
                if mode in _SAID:
                    body = b'{"error":"injected trouble"}'
                    head = f"{_SAID[mode]}Content-Type: application/json\r\n"
                    client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                elif mode is Mode.NOTHING:
                    while not self._closing.wait(0.05):
                        if self.mode is not Mode.NOTHING and not self._silent(request):
                            break
                    return
                else:
                    self._forward(client, request, answer=mode is Mode.PASS)
                    return  # the server's connection ends with the answer, ours with it

    def _silent(self, request: bytes) -> bool:
        about = self.silent_about
        line, _, _ = request.partition(b"\r\n")
        return self.mode is Mode.PASS and about is not None and about.encode() in line

    def _forward(self, client: socket.socket, request: bytes, *, answer: bool) -> None:
        with socket.create_connection(("127.0.0.1", self.target_port), timeout=30) as server:
            head, _, body = request.partition(b"\r\n\r\n")
            kept = [
                one for one in head.split(b"\r\n") if not one.lower().startswith(b"connection:")
            ]
            server.sendall(b"\r\n".join([*kept, b"Connection: close"]) + b"\r\n\r\n" + body)
            while piece := server.recv(PIECE):
                if answer:
                    client.sendall(piece)


def _request(client: socket.socket) -> bytes | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(PIECE)
        if not piece or len(data) > HEAD + PIECE:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        piece = client.recv(PIECE)
        if not piece:
            return None
        body += piece
    return head + b"\r\n\r\n" + body


@contextmanager
def before(port: int) -> Iterator[FaultyProxy]:
    """A proxy for the time of the context."""
    proxy = FaultyProxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
