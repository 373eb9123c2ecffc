"""Clones, replicas, resubmitted and recirculated packets carry what they carry on BMv2."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from p4switch import pipeline
from p4switch.errors import AlreadyExists, InvalidArgument, NotFound
from p4switch.pipeline import Pipeline
from p4switch.replication import CloneSession, Replica, Replication

Load = Callable[..., Pipeline]
T = 1000  # a time of arrival
NORMAL, I2E, E2E, RECIRCULATED, REPLICATED, RESUBMITTED = 0, 1, 2, 4, 5, 6


def order(op: int, arg: int = 0, passes: int = 0, payload: bytes = b"pay") -> bytes:
    return struct.pack(">BHB", op, arg, passes) + payload


def report(
    instance: int, ingress: int, egress: int, rid: int, length: int, kept: int, lost: int, time: int
) -> bytes:
    return struct.pack(">BHHHIHHB", instance, ingress, egress, rid, length, kept, lost, time)


# op, arg, expected outputs for a packet of 7 bytes from port 5; passes + 16 marks an arrival time
CASES = [
    ("a packet as any other", 0, 9, [(1, report(0, 5, 1, 0, 7, 9, 0x1111, 1) + order(0, 9, 16))]),
    (
        "an ingress clone is the packet as it came, with the preserved fields only",
        1,
        1,
        [
            (7, report(I2E, 0, 7, 0, 7, 1, 0, 0) + order(1, 1)),
            (1, report(0, 5, 1, 0, 7, 1, 0x1111, 1) + order(21, 1, 16)),
        ],
    ),
    (
        "a dropped packet's clone goes on, to two replicas, with nothing preserved",
        2,
        2,
        [
            (8, report(I2E, 0, 8, 3, 7, 0, 0, 0) + order(2, 2)),
            (9, report(I2E, 0, 9, 4, 7, 0, 0, 0) + order(2, 2)),
        ],
    ),
    ("a clone to a session that does not exist", 2, 77, []),
    (
        "multicast keeps headers and metadata and tells replicas apart",
        3,
        1,
        [
            (3, report(REPLICATED, 5, 3, 1, 7, 1, 0x1111, 1) + order(3, 1, 16)),
            (3, report(REPLICATED, 5, 3, 2, 7, 1, 0x1111, 1) + order(3, 1, 16)),
            (4, report(REPLICATED, 5, 4, 1, 7, 1, 0x1111, 1) + order(3, 1, 16)),
        ],
    ),
    ("multicast to a group that does not exist", 3, 99, []),
    (
        "a resubmitted packet comes again as it was, without port and time",
        4,
        8,
        [(1, report(0, 0, 1, 0, 7, 8, 8, 0) + order(4, 8, 6))],
    ),
    (
        "truncate counts the new headers",
        5,
        18,
        [(1, (report(0, 5, 1, 0, 7, 18, 0x1111, 1) + order(5, 18, 16))[:18])],
    ),
    (
        "truncate to more than there is",
        5,
        500,
        [(1, report(0, 5, 1, 0, 7, 500, 0x1111, 1) + order(5, 500, 16))],
    ),
    ("truncate to nothing", 5, 0, [(1, b"")]),
    ("mark_to_drop in ingress", 7, 0, []),
    (
        "a recirculated packet is parsed anew; only listed fields survive",
        8,
        3,
        [(1, report(0, 0, 1, 0, 7, 3, 0x2222, 0) + order(28, 3, 17))],
    ),
    (
        "an egress clone has the headers of the end of egress",
        9,
        1,
        [
            (1, report(0, 5, 1, 0, 7, 1, 0x1111, 1) + order(29, 1, 16)),
            (7, report(E2E, 0, 7, 0, 23, 1, 0, 0) + order(29, 1, 16)),
        ],
    ),
    ("mark_to_drop in egress", 10, 0, []),
    ("a priority without a queue of its own is dropped", 13, 0, []),
]


@pytest.fixture
def p(load: Load) -> Pipeline:
    pipeline = load("copies")
    pipeline.replication.insert_multicast(1, (Replica(3, 1), Replica(3, 2), Replica(4, 1)))
    pipeline.replication.insert_clone(1, CloneSession((Replica(7),)))
    pipeline.replication.insert_clone(2, CloneSession((Replica(8, 3), Replica(9, 4))))
    pipeline.replication.insert_clone(3, CloneSession((Replica(7),), packet_length_bytes=18))
    return pipeline


@pytest.mark.parametrize(
    ("op", "arg", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_copy(p: Pipeline, op: int, arg: int, expected: list[tuple[int, bytes]]) -> None:
    assert p.process(order(op, arg), 5, T) == expected


def test_a_clone_session_truncates_its_copies_only(p: Pipeline) -> None:
    clone, original = p.process(order(1, 3), 5, T)
    assert (clone[0], len(clone[1])) == (7, 18)
    assert len(original[1]) == 16 + 4 + 3


def test_a_digest_goes_to_the_controller_and_the_packet_goes_on(load: Load) -> None:
    seen: list[object] = []
    p = load("copies", on_digest=lambda name, fields: seen.append((name, fields)))
    assert len(p.process(order(6, 300), 5, T)) == 1
    assert seen == [("seen_t", [(6, 300, 5)])]
    assert p.digests["seen_t"].widths == (8, 16, 9)


def test_a_failed_assertion_drops_the_packet_and_the_switch_lives(p: Pipeline) -> None:
    assert p.process(order(14, 1), 5, T) == []
    assert p.drops["assert failed"] == 1
    assert len(p.process(order(14, 0), 5, T)) == 1


def test_a_packet_that_never_stops_recirculating_is_dropped(load: Load) -> None:
    p = load("copies")
    p.max_passes = 50
    p.pending.append((_again_and_again(p), ()))
    p._drain([])
    assert p.drops["endless recirculation"] == 1
    assert not p.pending


def test_a_packet_that_takes_turns_and_never_ends_is_dropped_alone(load: Load) -> None:
    p = load("copies")
    p.max_passes = 50
    p.pending.append((_again_and_again(p), ()))
    assert p.resume(49) == []
    p.submit(order(8, 1), 5, T)  # another, that comes back once
    waiting = len(p.pending)
    assert (waiting, p.drops["endless recirculation"]) == (2, 0)
    assert len(p.resume(10)) == 1
    assert p.drops["endless recirculation"] == 1
    assert not p.pending


def test_copies_of_copies_do_not_fill_the_memory(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "MAX_WAITING", 100)
    p = load("copies")

    def twice(out: list[tuple[int, bytes]]) -> None:
        p.pending.extend([(twice, ()), (twice, ())])

    p.pending.append((twice, ()))
    p.resume(10_000)
    assert len(p.pending) <= 100
    assert p.drops["endless recirculation"] > 1000


def _again_and_again(p: Pipeline) -> Callable[..., None]:
    def again(out: list[tuple[int, bytes]]) -> None:
        p.pending.append((again, ()))

    return again


def test_replicas_may_change_while_packets_pass(p: Pipeline) -> None:
    p.replication.modify_multicast(1, (Replica(9),))
    assert [port for port, _ in p.process(order(3, 1), 5, T)] == [9]
    p.replication.delete_multicast(1)
    assert p.process(order(3, 1), 5, T) == []


def test_the_replication_engine_refuses_nonsense() -> None:
    engine = Replication()
    engine.insert_multicast(1, (Replica(1),))
    with pytest.raises(AlreadyExists):
        engine.insert_multicast(1, ())
    with pytest.raises(InvalidArgument):
        engine.insert_multicast(0, ())
    with pytest.raises(InvalidArgument):
        engine.modify_multicast(1, (Replica(1, 2), Replica(1, 2)))
    with pytest.raises(NotFound):
        engine.delete_multicast(2)
    with pytest.raises(NotFound):
        engine.modify_clone(5, CloneSession(()))
    with pytest.raises(InvalidArgument):
        engine.insert_clone(0, CloneSession(()))
    engine.clear()
    assert engine.multicast == {}


def test_passes_may_be_spread_over_turns(p: Pipeline) -> None:
    whole = p.process(order(8, 3), 5, T)
    assert p.submit(order(8, 3), 5, T) == []
    assert p.resume(0) == []
    assert p.resume(10) == whole
    assert not p.pending
