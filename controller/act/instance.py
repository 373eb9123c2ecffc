"""What an instance does: a small TCP server in a process and a namespace of its own.

A request is a line; the answer is a line with the instance's name and the same words, as the emulation's backends do.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import socket

from controller.act.namespaces import enter, inside

BACKLOG = 1024
PR_SET_PDEATHSIG = 1  # linux/prctl.h
KEEP = 3  # descriptors 0 to 2 are standard input, output and error


def listen(namespace: int, address: str, port: int) -> socket.socket:
    """A listening socket in a namespace: from here on the kernel accepts connections. Raises OSError."""
    with inside(namespace):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def become(name: bytes, namespace: int, listener: int, *, dies_with_parent: bool) -> None:
    """Make this process, just forked, the instance; returns when its parent has ended meanwhile. Raises OSError."""
    if dies_with_parent:
        parent = os.getppid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent or parent == 1:
            return
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    enter(namespace)
    own = os.dup2(listener, KEEP)  # the agent's own descriptors are none of the instance's
    os.closerange(KEEP + 1, os.sysconf("SC_OPEN_MAX"))
    serve(name, socket.socket(fileno=own))


def serve(name: bytes, listener: socket.socket) -> None:
    """Answer until killed."""
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    rests: dict[socket.socket, bytes] = {}
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                with contextlib.suppress(OSError):  # it hung up while it waited
                    client, _ = listener.accept()
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    client.settimeout(1.0)  # to write; reading waits for the selector
                    rests[client] = b""
                    selector.register(client, selectors.EVENT_READ)
                continue
            client = key.fileobj  # type: ignore[assignment]
            rest = _answer(name, client, rests[client])
            if rest is None:
                selector.unregister(client)
                del rests[client]
                client.close()
            else:
                rests[client] = rest


def _answer(name: bytes, client: socket.socket, rest: bytes) -> bytes | None:
    """Answer what has come; the beginning of a line that has not ended, or None when the client is done or gone."""
    try:
        data = client.recv(65536)
        *lines, rest = (rest + data).split(b"\n")
        if lines:
            client.sendall(b"".join(b"%s %s\n" % (name, line) for line in lines))
    except OSError:
        return None
    return rest if data and len(rest) < 65536 else None
