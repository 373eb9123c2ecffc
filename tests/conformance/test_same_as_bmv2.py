"""The same packets through umbra.p4 on the embedded switch and on BMv2: the same packets, replica records, ports,
counters, and connection tables at the end.

What BMv2 answered is kept beside this test (as digests), so that the embedded switch is held against it where BMv2
is not installed as well. `UMBRA_RECORD=1 pytest tests/conformance/test_same_as_bmv2.py` records it again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from controller.act.program import default_files
from harness.generated import packets
from harness.programmed import Programmed, programmed
from harness.replicas import pass_through, replicating, said, table
from harness.small import E1, R1, R2, R3, S1
from topologies.single import unavailable

PACKETS_PER_NODE = 4000  # three nodes: 12,000 packets
BATCH = 40  # sent together through one port: the order between ports is not defined
RECORD = Path(__file__).with_name("bmv2_answers.json")
PORTS_IN = {"e1": (3, 1), "r1": (1, 2), "s1": (1, 4)}  # 3 of e1 and 4 of s1 are not to be trusted
TRUSTED = {"e1": (1, 2), "r1": (1, 2), "s1": (1, 2, 3)}
LABELS = {"e1": E1, "r1": R1, "s1": S1}
SHADOWS = {"e1": {R2: 1, R3: 2}, "r1": {R2: 1, R3: 2}, "s1": {}}
CAPACITY = 20  # of r1: full at times
NEVER_S = 1e6  # nothing is refreshed: when, depends on the clock
NO_PLACE = 4  # event of a received record; the tables here are too large for it
ORIGINS = (0, 3, 4, 15)  # owned, and replicas of the primaries that `replicating` knows

Answers = dict[int, list[bytes]]  # by port, in order


def batches(node: str) -> Iterator[tuple[int, list[bytes]]]:
    """(port, packets) in turn."""
    made = list(packets(seed=sum(node.encode()), count=PACKETS_PER_NODE, own=LABELS[node]))
    for number, start in enumerate(range(0, len(made), BATCH)):
        yield PORTS_IN[node][number % 2], made[start : start + BATCH]


def answers(switch: Programmed, node: str) -> tuple[Answers, dict[str, Any]]:
    """What comes out of each port; all counters and the connection table at the end."""
    plan = replicating(switch.plan, SHADOWS[node], trusted=TRUSTED[node], refresh_s=NEVER_S)
    switch.replan(replace(plan, capacity=CAPACITY if node == "r1" else 0))
    out: Answers = {}
    came = [one for port, batch in batches(node) for one in pass_through(switch, port, *batch)]
    for port, packet in came + switch.device.receive(0):
        out.setdefault(port, []).append(packet)
    counters = asdict(switch.counters())
    del counters["time_s"]
    counters["table"] = {
        str(origin): {
            f"{key:08x}": entry for key, entry in said(table(switch, 1 << origin)).items()
        }
        for origin in ORIGINS
    }
    return out, counters


def digests(packets_out: list[bytes]) -> list[str]:
    """Sixteen hexadecimal digits for each forty packets that came out of a port."""
    found = []
    for start in range(0, len(packets_out), BATCH):
        summed = hashlib.sha256()
        for packet in packets_out[start : start + BATCH]:
            summed.update(b"%d " % len(packet) + packet)
        found.append(summed.hexdigest()[:16])
    return found


def run(kind: str, node: str, run_dir: Path) -> tuple[Answers, dict[str, Any]]:
    """All packets of a node through one kind of switch."""
    with programmed(kind, node, run_dir) as switch:
        return answers(switch, node)


def recorded_form(found: tuple[Answers, dict[str, Any]]) -> dict[str, Any]:
    """As it is kept in the file."""
    out, counters = found
    form: dict[str, Any] = json.loads(json.dumps(counters, sort_keys=True))
    ports = {str(port): digests(out[port]) for port in sorted(out)}
    return {"ports": ports, "counters": form}


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
        assert embedded[0].keys() == bmv2[0].keys()
        for port, ours in embedded[0].items():
            for number, (one, other) in enumerate(zip(ours, bmv2[0][port], strict=False)):
                assert one == other, f"packet {number} out of port {port} of {node}"
            assert len(ours) == len(bmv2[0][port]), f"packets out of port {port} of {node}"
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
    for why in (
        "malformed",
        "ttl",
        "unroutable",
        "no_label",
        "arp",
        "refused",
        "untrusted",
        "stranger",
    ):
        assert sum(drop[why] for drop in drops) > 5, why


def test_the_records_are_taken_and_left_in_every_way() -> None:
    """The record says something of replicas: each kind is sent, each event happens."""
    record = json.loads(RECORD.read_text())
    seen = [record[node]["counters"]["replication"] for node in ("e1", "r1")]
    for kind in (1, 2, 3, 4, 7):
        assert sum(one["sent"][str(kind)] for one in seen) > 5, kind
    events = [counts for one in seen for counts in one["received"].values()]
    in_every_way = [sum(column) for column in zip(*events, strict=True)]
    assert all(count > 5 for event, count in enumerate(in_every_way) if event != NO_PLACE)
    for event in ("adopted", "released"):
        assert sum(count for one in seen for count in one[event].values()) > 10, event
    tables = [record[node]["counters"]["table"] for node in ("e1", "r1")]
    assert all(len(one[str(origin)]) > 1 for one in tables for origin in ORIGINS)
