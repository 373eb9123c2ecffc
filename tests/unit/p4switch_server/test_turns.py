"""A packet that goes round thousands of times does not hold up the others."""

from __future__ import annotations

import time
from pathlib import Path

from p4switch.switch import Switch

PROGRAM = Path(__file__).resolve().parents[3] / "p4src" / "build" / "umbra.json"
CPU_PORT = 510
ARP_FOR_NOBODY = bytes.fromhex("ffffffffffff0200000000010806") + bytes.fromhex(
    "000108000604000102000000000a0a0101010000000000000a010163"
)


def scan(limit: int) -> bytes:
    """A packet-out that walks over the connection table up to `limit`."""
    kind, start = 1, 0
    return bytes([0, 0, kind]) + start.to_bytes(4, "big") + limit.to_bytes(4, "big") + bytes(12)


def test_packets_are_forwarded_while_a_scan_goes_round() -> None:
    with Switch(
        device_id=1, grpc_address="127.0.0.1:0", program=PROGRAM.read_bytes(), cpu_port=CPU_PORT
    ) as switch:
        switch.inject_packet_out(scan(65536))
        assert switch.inject(3, ARP_FOR_NOBODY) == []
        assert switch.pipeline is not None
        assert len(switch.pipeline.pending) == 1  # the scan is still on its way
        for _ in range(500):
            if not switch.pipeline.pending:
                break
            time.sleep(0.02)
        assert not switch.pipeline.pending
        assert switch.pipeline.counters["drops"].read(6) == (1, len(ARP_FOR_NOBODY))
