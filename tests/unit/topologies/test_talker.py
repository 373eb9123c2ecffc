"""Talkers and answerers over real sockets on loopback, with backends that behave and others that do not."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from topologies.load import exchanges
from topologies.load.talker import REPORT_S

PATIENCE_S = 20.0
CONNECTIONS = 20


def lines(program: subprocess.Popen[bytes]) -> Iterator[dict[str, object]]:
    assert program.stdout is not None
    for line in program.stdout:
        yield json.loads(line)


@contextmanager
def program(module: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", f"topologies.load.{module}", *arguments], stdout=subprocess.PIPE
    )
    timer = threading.Timer(PATIENCE_S, process.kill)
    timer.start()
    try:
        assert next(lines(process))["kind"] == "ready"
        yield process
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def talker(tmp_path: Path, port: int, *more: str) -> tuple[str, ...]:
    return (
        *("talker", "--name", "c1", "--to", f"127.0.0.1:{port}", "--first", "100"),
        *("--connections", str(CONNECTIONS), "--output", str(tmp_path / "c1")),
        *("--opened-per-s", "1000", "--interval", "0.05", *more),
    )


def end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0


def test_every_connection_talks_in_order_to_one_backend(tmp_path: Path) -> None:
    port = free_port()
    served = tmp_path / "b1.connections"
    listen = ("--listen", f"127.0.0.1:{port}", "--output", str(served))
    with (
        program("answerer", "--name", "b1", *listen) as backend,
        program(*talker(tmp_path, port)) as client,
    ):
        for report in lines(client):
            if report["kind"] == "talk" and int(str(report["answers"])) >= 10 * CONNECTIONS:
                break
        end(client)
        end(backend)
    found = exchanges.lives([tmp_path / "c1.events"])
    assert set(found) == set(range(100, 100 + CONNECTIONS))
    assert all(life.how is None and life.backend == "b1" for life in found.values())
    talked = list(exchanges.exchanges([tmp_path / "c1.exchanges"]))
    assert {one.connection for one in talked} == set(found)
    assert all(one.answered_s >= one.asked_s for one in talked)
    assert {int(line) for line in served.read_text().split()} == set(found)


def test_connections_that_live_for_a_while_are_closed_and_followed_by_new_ones(
    tmp_path: Path,
) -> None:
    port = free_port()
    listen = ("--listen", f"127.0.0.1:{port}", "--output", str(tmp_path / "b1.connections"))
    with (
        program("answerer", "--name", "b1", *listen),
        program(*talker(tmp_path, port, "--life", "0.1")) as client,
    ):
        for report in lines(client):
            if report["kind"] == "talk" and len(str(report["ends"])) > 2:
                break
        end(client)
    found = exchanges.lives([tmp_path / "c1.events"])
    assert len(found) > CONNECTIONS
    assert {life.how for life in found.values()} <= {None, exchanges.CLOSED}


Behave = Callable[[socket.socket], None]


@contextmanager
def backend(behave: Behave) -> Iterator[int]:
    """A server that does the same with every connection after its first answer; yields its port."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=100)

    def serve(sock: socket.socket) -> None:
        with sock:
            if sock.recv(100):
                sock.sendall(b"b1 1\n")
            if sock.recv(100):
                behave(sock)

    def accept() -> None:
        while True:
            try:
                sock, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(sock,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield int(listening.getsockname()[1])
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(PATIENCE_S)


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


def wait_for_more(sock: socket.socket) -> None:
    with contextlib.suppress(ConnectionResetError):  # so it is given up
        sock.recv(1)


@pytest.mark.parametrize(
    ("behave", "how"),
    [
        pytest.param(reset, exchanges.RESET, id="a reset"),
        pytest.param(lambda sock: None, exchanges.ENDED_BY_SERVER, id="the server's FIN"),
        pytest.param(
            lambda sock: sock.sendall(b"b2 2\n"), exchanges.OTHER_BACKEND, id="another backend"
        ),
        pytest.param(lambda sock: sock.sendall(b"b1 7\n"), exchanges.WRONG, id="another number"),
        pytest.param(wait_for_more, exchanges.SILENT, id="silence"),
    ],
)
def test_a_broken_connection_is_told_with_its_reason(
    tmp_path: Path, behave: Behave, how: str
) -> None:
    with (
        backend(behave) as port,
        program(*talker(tmp_path, port, "--answer-timeout", "0.5")) as client,
    ):
        for report in lines(client):
            ends = report.get("ends")
            if isinstance(ends, dict) and ends.get(how, 0) >= CONNECTIONS:
                break
        end(client)
    ended = [life for life in exchanges.lives([tmp_path / "c1.events"]).values() if life.how]
    assert {life.how for life in ended} == {how}
    assert all(life.broken and life.backend == "b1" for life in ended)


def test_an_answer_that_came_while_the_talker_was_stopped_is_no_silence(tmp_path: Path) -> None:
    timeout_s = 1.0
    asked, stopped = threading.Semaphore(0), threading.Event()

    def answer_later(sock: socket.socket) -> None:
        sequence = 2
        asked.release()
        stopped.wait(PATIENCE_S)
        with contextlib.suppress(ConnectionResetError):  # the client ends first
            sock.sendall(b"b1 2\n")
            while sock.recv(100):
                sequence += 1
                sock.sendall(b"b1 %d\n" % sequence)

    with (
        backend(answer_later) as port,
        program(*talker(tmp_path, port, "--answer-timeout", str(timeout_s))) as client,
    ):
        assert asked.acquire(timeout=PATIENCE_S)
        client.send_signal(signal.SIGSTOP)
        stopped_s = time.monotonic()
        stopped.set()
        # Long enough that the talker, when it goes on, looks first for who has been silent.
        while time.monotonic() < stopped_s + 1.2 * max(timeout_s, REPORT_S):
            time.sleep(0.05)
        client.send_signal(signal.SIGCONT)
        for report in lines(client):
            if report["kind"] == "talk" and int(str(report["answers"])) >= 3 * CONNECTIONS:
                break
        end(client)
    assert {life.how for life in exchanges.lives([tmp_path / "c1.events"]).values()} == {None}


@pytest.mark.skipif(not os.path.exists("/proc/thread-self/net/snmp"), reason="needs Linux")
def test_a_host_counts_the_resets_that_it_sends() -> None:
    from topologies.load.answerer import resets_sent

    before = resets_sent()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", free_port()))
    assert resets_sent() > before


def test_connections_are_renewed_when_asked_for(tmp_path: Path) -> None:
    port = free_port()
    listen = ("--listen", f"127.0.0.1:{port}", "--output", str(tmp_path / "b1.connections"))
    with (
        program("answerer", "--name", "b1", *listen),
        program(*talker(tmp_path, port)) as client,
    ):
        asked = False
        for report in lines(client):
            ends = report.get("ends")
            if report["kind"] == "talk" and report["live"] == CONNECTIONS and not asked:
                client.send_signal(signal.SIGUSR1)
                asked = True
            if isinstance(ends, dict) and ends.get(exchanges.CLOSED, 0) >= CONNECTIONS:
                break
        end(client)
    found = exchanges.lives([tmp_path / "c1.events"])
    assert {found[number].how for number in range(100, 100 + CONNECTIONS)} == {exchanges.CLOSED}
    assert max(found) > 100 + CONNECTIONS
