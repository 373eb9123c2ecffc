"""The same packets through umbra.p4 on the embedded switch and on BMv2: the same packets out, ports and counters.

What BMv2 answered is kept beside this test (as digests), so that the embedded switch is held against it where BMv2
is not installed as well. `UMBRA_RECORD=1 pytest tests/conformance/test_same_as_bmv2.py` records it again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from controller.act.program import default_files
from harness.generated import packets
from harness.programmed import Programmed, programmed
from topologies.single import unavailable

PACKETS_PER_NODE = 4000  # three nodes: 12,000 packets
BATCH = 40  # sent together through one port: the order between ports is not defined
RECORD = Path(__file__).with_name("bmv2_answers.json")
PORTS_IN = {"e1": (3, 1), "r1": (1, 2), "s1": (1, 4)}

Answers = list[dict[int, list[bytes]]]


def batches(node: str) -> Iterator[tuple[int, list[bytes]]]:
    """(port, packets) in turn."""
    made = list(packets(seed=sum(node.encode()), count=PACKETS_PER_NODE))
    for number, start in enumerate(range(0, len(made), BATCH)):
        yield PORTS_IN[node][number % 2], made[start : start + BATCH]


def answers(switch: Programmed, node: str) -> tuple[Answers, dict[str, Any]]:
    """What comes out, per batch and port in order, and all counters at the end."""
    out: Answers = []
    for port, batch in batches(node):
        for packet in batch:
            switch.device.send(port, packet)
        by_port: dict[int, list[bytes]] = {}
        for came_out, packet in switch.device.receive(None):
            by_port.setdefault(came_out, []).append(packet)
        out.append(by_port)
    counters = asdict(switch.counters())
    del counters["time_s"]
    return out, counters


def digest(answer: dict[int, list[bytes]]) -> str:
    """Sixteen hexadecimal digits that stand for one batch's answer."""
    summed = hashlib.sha256()
    for port in sorted(answer):
        for packet in answer[port]:
            summed.update(b"%d %d " % (port, len(packet)) + packet)
    return summed.hexdigest()[:16]


def run(kind: str, node: str, run_dir: Path) -> tuple[Answers, dict[str, Any]]:
    """All packets of a node through one kind of switch."""
    with programmed(kind, node, run_dir) as switch:
        return answers(switch, node)


def recorded_form(found: tuple[Answers, dict[str, Any]]) -> dict[str, Any]:
    """As it is kept in the file."""
    out, counters = found
    form: dict[str, Any] = json.loads(json.dumps(counters, sort_keys=True))
    return {"batches": [digest(answer) for answer in out], "counters": form}


def program() -> str:
    """Hash of the program that the record was made with."""
    return hashlib.sha256(default_files().json.read_bytes()).hexdigest()


@pytest.mark.parametrize("node", PORTS_IN)
def test_the_embedded_switch_answers_as_bmv2_does(node: str, tmp_path: Path) -> None:
    reason = unavailable("embedded")
    if reason:
        pytest.skip(reason)
    embedded = run("embedded", node, tmp_path)
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    no_bmv2 = unavailable("bmv2")
    if no_bmv2 is None:
        bmv2 = run("bmv2", node, tmp_path)
        for number, (ours, theirs) in enumerate(zip(embedded[0], bmv2[0], strict=True)):
            assert ours == theirs, f"batch {number} of {node}: {list(batches(node))[number]}"
        assert embedded[1] == bmv2[1]
        if os.environ.get("UMBRA_RECORD"):
            record = {**record, "program": program(), node: recorded_form(bmv2)}
            RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    assert record.get("program") == program(), "umbra.p4 changed: record BMv2's answers again"
    assert recorded_form(embedded) == record[node]


def test_the_packets_open_refuse_and_damage_enough() -> None:
    """The record says something: each kind of end is among BMv2's answers."""
    record = json.loads(RECORD.read_text())
    edge, router = record["e1"]["counters"], record["r1"]["counters"]
    services = [*edge["services"].values(), *router["services"].values()]
    for event in ("opened", "closed", "unbound", "refused"):
        assert sum(service[event] for service in services) > 20, event
    drops = [record[node]["counters"]["drops"] for node in PORTS_IN]
    for why in ("malformed", "ttl", "unroutable", "no_label", "arp", "refused"):
        assert sum(drop[why] for drop in drops) > 5, why
