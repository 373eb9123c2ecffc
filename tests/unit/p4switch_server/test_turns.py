"""A packet that goes round thousands of times does not hold up the others."""

from __future__ import annotations

import threading
from pathlib import Path

from p4switch.pipeline import Pipeline
from p4switch.ports import PacketLoop

PROGRAM = Path(__file__).resolve().parents[3] / "p4src" / "build" / "umbra.json"
CPU_PORT = 510
DROP_ARP = 6
ARP_FOR_NOBODY = bytes.fromhex("ffffffffffff0200000000010806") + bytes.fromhex(
    "000108000604000102000000000a0a0101010000000000000a010163"
)


def scan(limit: int) -> bytes:
    """A packet-out that walks over the connection table up to `limit`."""
    kind, start = 1, 0
    return bytes([0, 0, kind]) + start.to_bytes(4, "big") + limit.to_bytes(4, "big") + bytes(24)


def test_a_packet_that_comes_during_a_scan_does_not_wait_for_its_end() -> None:
    pipeline = Pipeline(PROGRAM.read_text(), cpu_port=CPU_PORT)
    dropped_by_the_end: list[tuple[int, int]] = []
    is_done = threading.Event()

    def scan_done(_packet: bytes) -> None:
        dropped_by_the_end.append(pipeline.counters["drops"].read(DROP_ARP))
        is_done.set()

    loop = PacketLoop(
        {},
        pipeline,
        lambda: 1,
        cpu_port=CPU_PORT,
        on_cpu=scan_done,
        on_port_status=lambda _port: None,
    )
    loop.inject(CPU_PORT, scan(65536))  # 32,768 passes
    loop.inject(3, ARP_FOR_NOBODY)
    loop.start()
    try:
        assert is_done.wait(30)
    finally:
        loop.stop()
    assert dropped_by_the_end == [(1, len(ARP_FOR_NOBODY))]
