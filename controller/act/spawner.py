"""Starts instances for a host's agent: a small process that forks, so that the agent, which is larger, need not.

After a fork every page that either process writes to is copied: the agent would pay while somebody waits for it.
"""

from __future__ import annotations

import array
import contextlib
import os
import signal
import socket
import struct

from controller.act.instance import become

FLAG_DIES, FLAG_STAYS = b"D", b"S"
MOST_BYTES = 256  # of an instance's name
TIMEOUT_S = 5.0
_FDS = array.array("i", [0, 0])
_NUMBER = struct.Struct("=Q")
_ANSWER = struct.Struct("=QQ")  # number of the request, process id or 0
_NOBODY = _ANSWER.pack(0, 0)


class SpawnFailed(OSError):
    """The instance's process could not be started."""


class Spawner:
    """Fork it before the program grows, and before it starts a thread. It ends with the agent."""

    def __init__(self) -> None:
        own, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = own
        self._number = 0  # of the last request
        self._pid = os.fork()
        if self._pid == 0:
            code = 1
            try:
                own.close()
                _serve(its)
                code = 0
            finally:
                os._exit(code)
        its.close()
        own.settimeout(TIMEOUT_S)

    def spawn(
        self, name: str, namespace: int, listener: socket.socket, *, dies_with_parent: bool
    ) -> int:
        """Start an instance in a namespace, with a socket that listens there; its process id. Raises SpawnFailed."""
        fds = array.array("i", [namespace, listener.fileno()])
        flag = FLAG_DIES if dies_with_parent else FLAG_STAYS
        self._number += 1
        request = flag + _NUMBER.pack(self._number) + name.encode()
        try:
            self._socket.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
            answer = self._answer()
        except OSError as error:
            raise SpawnFailed(
                f"the process that starts instances does not answer: {error}"
            ) from error
        if answer is None:
            raise SpawnFailed(f"instance {name} was not started; start the host's agent again")
        return answer

    def _answer(self) -> int | None:
        """To the last request; None: not started. One that came too late for its own request started an instance that
        nobody knows of: it ends.
        """
        while True:
            number, pid = _ANSWER.unpack(self._socket.recv(_ANSWER.size) or _NOBODY)
            if number in (self._number, 0):
                return pid or None
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """End it, and with it those instances that die with their parent."""
        self._socket.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


def _serve(sock: socket.socket) -> None:
    """Until the agent is gone."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # it ends with the agent, and not before
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for instances
    while True:
        message, ancillary, _, _ = sock.recvmsg(MOST_BYTES, socket.CMSG_SPACE(2 * _FDS.itemsize))
        if not message:
            return
        fds = array.array("i")
        for _, _, data in ancillary:
            fds.frombytes(data)
        asked, name = message[1 : 1 + _NUMBER.size], message[1 + _NUMBER.size :]
        try:
            pid = os.fork()
        except OSError:
            pid = -1
        if pid == 0:
            try:
                become(name, *fds, dies_with_parent=message[:1] == FLAG_DIES)
            finally:
                os._exit(1)
        for fd in fds:
            os.close(fd)
        sock.send(_ANSWER.pack(*_NUMBER.unpack(asked), max(0, pid)))
