"""The same packets through the NAT of umbra.p4 on the embedded switch and on BMv2: the same packets and counters.

What BMv2 answered is kept beside this test, as with `test_same_as_bmv2`; `UMBRA_RECORD=1` records it again.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import finsy as fy
import pytest

from controller.act.program import default_files
from harness.generated_nat import packets, translating
from harness.programmed import Programmed, programmed
from harness.replicas import pass_through
from topologies.single import unavailable

PACKETS, BATCH, SEED = 4000, 40, 3022
RECORD = Path(__file__).with_name("bmv2_nat_answers.json")
PORTS = (3, 1)  # a host's, and a spine's

Answers = dict[int, list[bytes]]  # by port, in order


def answers(switch: Programmed) -> tuple[Answers, dict[str, Any]]:
    """What comes out of each port; drops and the counters of NAT's rows."""
    switch.replan(replace(switch.plan, **translating(switch.plan)))  # type: ignore[arg-type]
    out: Answers = {}
    made = list(packets(SEED, PACKETS))
    for number, start in enumerate(range(0, PACKETS, BATCH)):
        for port, packet in pass_through(switch, PORTS[number % 2], *made[start : start + BATCH]):
            out.setdefault(port, []).append(packet)
    for port, packet in switch.device.receive(0):
        out.setdefault(port, []).append(packet)
    return out, {"drops": dict(switch.counters().drops), **rows(switch)}


def rows(switch: Programmed) -> dict[str, dict[str, list[int]]]:
    """Packets and bytes of every row, by direction and address."""
    found: dict[str, dict[str, list[int]]] = {}
    for counter in ("nat_out_traffic", "nat_in_traffic"):
        for one in switch.run(switch.link.read([fy.P4DirectCounterEntry(counter)])):
            [address] = dict(one.table_entry.match).values()
            counts = [one.packet_count, one.byte_count]
            found.setdefault(counter, {})[str(int(address))] = counts
    return found


def run(kind: str, run_dir: Path) -> tuple[Answers, dict[str, Any]]:
    """All packets through one kind of switch."""
    with programmed(kind, "e1", run_dir) as switch:
        return answers(switch)


def recorded_form(found: tuple[Answers, dict[str, Any]]) -> dict[str, Any]:
    """As it is kept in the file: sixteen digits for each forty packets out of a port."""
    ports: dict[str, list[str]] = {}
    for port, packets_out in sorted(found[0].items()):
        for start in range(0, len(packets_out), BATCH):
            summed = hashlib.sha256()
            for packet in packets_out[start : start + BATCH]:
                summed.update(b"%d " % len(packet) + packet)
            ports.setdefault(str(port), []).append(summed.hexdigest()[:16])
    return {"ports": ports, "counters": json.loads(json.dumps(found[1], sort_keys=True))}


def program() -> str:
    """Hash of the program that the record was made with."""
    return hashlib.sha256(default_files().json.read_bytes()).hexdigest()


def test_the_embedded_switch_translates_as_bmv2_does(tmp_path: Path) -> None:
    reason = unavailable("embedded")
    if reason:
        pytest.skip(reason)
    embedded = run("embedded", tmp_path)
    if unavailable("bmv2") is None:
        bmv2 = run("bmv2", tmp_path)
        for port, ours in embedded[0].items():
            for number, (one, other) in enumerate(zip(ours, bmv2[0][port], strict=True)):
                assert one == other, f"packet {number} out of port {port}"
        assert embedded == bmv2
        if os.environ.get("UMBRA_RECORD"):
            record = {"program": program(), **recorded_form(bmv2)}
            RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    assert record.get("program") == program(), "umbra.p4 changed: record BMv2's answers again"
    assert {"program": program(), **recorded_form(embedded)} == record


def test_the_packets_go_both_ways_and_are_damaged_enough() -> None:
    """The record says something: every row is used in both directions, and things are dropped."""
    counters = json.loads(RECORD.read_text())["counters"]
    for direction in ("nat_out_traffic", "nat_in_traffic"):
        assert len(counters[direction]) == 4
        assert all(count > 20 for count, _ in counters[direction].values())
    assert all(counters["drops"][why] > 5 for why in ("malformed", "ttl", "unroutable"))
