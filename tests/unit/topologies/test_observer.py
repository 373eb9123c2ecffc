"""What a backend sees of a connection, packet by packet."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topologies.load.observer import ACK, BATCH, FIN, RST, SYN, Observer, Tracker

R1, R2 = bytes.fromhex("020000030001"), bytes.fromhex("020000030002")
BACKEND = bytes.fromhex("020000120001")


def frame(flags: int, *, router: bytes = R1, port: int = 40000, client: str = "10.1.1.10") -> bytes:
    ip = struct.pack(
        "!BBHHHBBH4s4s",
        *(0x45, 0, 40, 0, 0, 60, 6, 0),
        socket.inet_aton(client),
        socket.inet_aton("10.100.0.1"),
    )
    tcp = struct.pack("!HHIIBBHHH", port, 80, 1, 1, 0x50, flags, 1000, 0, 0)
    return BACKEND + router + b"\x08\x00" + ip + tcp


def watch(*packets: tuple[float, bytes]) -> tuple[Tracker, list[dict[str, Any]]]:
    records: list[dict[str, Any]] = []
    tracker = Tracker({R1: "r1", R2: "r2"}, records.append)
    for time_s, packet in packets:
        tracker.packet(packet, time_s)
    return tracker, records


def test_a_connection_is_alive_from_its_syn_to_its_fin() -> None:
    tracker, records = watch((1.0, frame(SYN)), (2.0, frame(ACK)))
    assert tracker.live() == {"r1": 1}
    tracker.packet(frame(FIN | ACK), 3.0)
    tracker.packet(frame(ACK), 3.1)
    assert tracker.live() == {}
    tracker.finish()
    assert records == [
        {
            "kind": "seen",
            "client": "10.1.1.10",
            "client_port": 40000,
            "address": "10.100.0.1",
            "port": 80,
            "routers": ["r1"],
            "opened_s": 1.0,
            "last_s": 3.1,
            "closed_s": 3.0,
            "packets": 4,
        }
    ]


def test_a_connection_that_changes_its_router_is_seen_as_moved() -> None:
    tracker, records = watch((1.0, frame(SYN)), (2.0, frame(ACK, router=R2)))
    assert tracker.live() == {"r2": 1}
    tracker.finish()
    assert records[0]["routers"] == ["r1", "r2"]


def test_a_repeated_syn_is_the_same_connection() -> None:
    tracker, records = watch((1.0, frame(SYN)), (2.0, frame(SYN)))
    tracker.finish()
    assert len(records) == 1


def test_the_same_ports_after_the_end_are_a_new_connection() -> None:
    tracker, records = watch((1.0, frame(SYN)), (2.0, frame(RST)), (3.0, frame(SYN, router=R2)))
    tracker.finish()
    assert [record["routers"] for record in records] == [["r1"], ["r2"]]


def test_only_what_was_closed_long_enough_ago_is_swept() -> None:
    tracker, records = watch((1.0, frame(SYN)), (2.0, frame(FIN)), (3.0, frame(SYN, port=2)))
    tracker.sweep(1.5)
    assert records == []
    tracker.sweep(2.5)
    assert [record["client_port"] for record in records] == [40000]


def test_packets_of_a_connection_whose_beginning_was_not_seen_are_left_out() -> None:
    tracker, records = watch((1.0, frame(ACK)))
    tracker.finish()
    assert records == []


def test_a_packet_that_came_past_the_routers_is_named_by_its_mac_address() -> None:
    tracker, _ = watch((1.0, frame(SYN, router=b"\x02\0\0\x02\0\x01")))
    assert tracker.live() == {"02:00:00:02:00:01": 1}


@given(data=st.binary(max_size=100))
def test_no_packet_stops_the_observer(data: bytes) -> None:
    tracker, _ = watch((0.0, data), (0.0, frame(SYN)[:40] + data))
    tracker.finish()


@pytest.mark.skipif(os.geteuid() != 0, reason="a packet socket needs root")
def test_what_has_piled_up_is_taken_to_its_end() -> None:
    tracker, records = watch()
    observer = Observer("lo", tracker, time.monotonic())
    # Several packets each: more than are taken at once.
    with (
        contextlib.closing(observer.socket),
        socket.create_server(("127.0.0.1", 0), backlog=BATCH) as server,
    ):
        for _ in range(BATCH):
            with socket.create_connection(server.getsockname()):
                pass
        assert observer.read()
        while observer.read():
            pass
        assert observer.lost() == 0
    tracker.finish()
    assert len(records) == BATCH
    assert all(record["closed_s"] is not None for record in records)
