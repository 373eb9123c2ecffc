"""The process that starts a host's instances, when it is slower than the agent has patience."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.act import spawner
from controller.act.spawner import Spawner, SpawnFailed
from harness.host import ask

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


PATIENCE_S = 10.0


@pytest.fixture
def network() -> Iterator[int]:
    """Our own, as a descriptor."""
    descriptor = os.open("/proc/self/ns/net", os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def listening() -> tuple[socket.socket, int]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    return listener, listener.getsockname()[1]


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_an_instance_that_came_too_late_is_ended_and_not_taken_for_the_next(
    network: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spawner, "TIMEOUT_S", 0.2)
    starts = Spawner()
    late, _ = listening()
    wanted, port = listening()
    with late, wanted:
        os.kill(starts._pid, signal.SIGSTOP)
        with pytest.raises(SpawnFailed, match="does not answer"):
            starts.spawn("late", network, late, dies_with_parent=True)
        starts._socket.settimeout(PATIENCE_S)
        os.kill(starts._pid, signal.SIGCONT)
        pid = starts.spawn("wanted", network, wanted, dies_with_parent=True)
    try:
        assert ask("127.0.0.1", port) == "wanted hello"
        assert pid in children(starts._pid)
        deadline_s = time.monotonic() + PATIENCE_S
        while children(starts._pid) != [pid]:  # the late one is on its way out
            assert time.monotonic() < deadline_s, children(starts._pid)
            time.sleep(0.01)
    finally:
        starts.close()


def test_a_spawner_that_is_gone_is_told(network: int) -> None:
    starts = Spawner()
    os.kill(starts._pid, signal.SIGKILL)
    listener, _ = listening()
    with listener, pytest.raises(SpawnFailed, match="start"):
        starts.spawn("one", network, listener, dies_with_parent=True)
    starts.close()
