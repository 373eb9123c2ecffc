"""Sockets in folders that are deeper than the kernel's names of sockets are long."""

from __future__ import annotations

import socket
from pathlib import Path

from controller.act.unix_paths import LONGEST_BYTES, short


def test_a_socket_in_a_deep_folder_is_bound_and_found(tmp_path: Path) -> None:
    path = tmp_path / ("deep" * 30) / "b1.sock"
    path.parent.mkdir()
    assert len(str(path)) > LONGEST_BYTES
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        with short(path) as name:
            server.bind(name)
        server.listen()
        assert path.is_socket()
        with short(path) as name:
            client.connect(name)
        other, _ = server.accept()
        with other:
            client.sendall(b"here")
            assert other.recv(4) == b"here"


def test_a_name_that_fits_stays_as_it_is() -> None:
    with short(Path("/run/umbra/b1.sock")) as name:
        assert name == "/run/umbra/b1.sock"
