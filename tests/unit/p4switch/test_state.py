"""Registers, counters, meters, hashes and selectors, from the packet's side."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from p4switch import hashes
from p4switch.errors import FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted
from p4switch.pipeline import Pipeline
from p4switch.profiles import GroupMember
from p4switch.stateful import GREEN, RED, YELLOW, Meter, MeterConfig, MeterState, Register
from p4switch.tables import ActionCall, ActionSet, Entry, GroupRef, MemberRef

Load = Callable[..., Pipeline]
UNTOUCHED = 5


def ask(p: Pipeline, op: int, index: int = 0, value: int = 0, odd: int = 0, now_us: int = 0) -> int:
    """The program's result value."""
    ((_, out),) = p.process(struct.pack(">BIQH", op, index, value, odd), 1, now_us)
    return int.from_bytes(out[:8], "big")


def member(p: Pipeline, op: int, index: int, value: int = 0) -> int | None:
    """The member chosen, None when the packet was dropped."""
    outs = p.process(struct.pack(">BIQH", op, index, value, 0), 1, 0)
    return int.from_bytes(outs[0][1][8:10], "big") if outs else None


def test_registers_keep_values_and_ignore_what_is_beyond_their_end(load: Load) -> None:
    p = load("state")
    ask(p, 2, 15, 1 << 63)
    ask(p, 2, 16, 77)
    assert ask(p, 1, 15) == 1 << 63
    assert ask(p, 1, 16) == UNTOUCHED
    cells = p.registers["I.cells"]
    assert cells.read(15) == 1 << 63
    cells.write(3, 42)
    assert ask(p, 1, 3) == 42
    with pytest.raises(InvalidArgument):
        cells.write(3, 1 << 64)
    with pytest.raises(InvalidArgument):
        Register("r", 4, 8).read(4)


def test_counters_count_packets_and_bytes_of_one_cell(load: Load) -> None:
    p = load("state")
    for index in (3, 3, 4, 16, 1 << 31):
        ask(p, 3, index)
    counts = p.counters["I.counts"]
    assert (counts.read(3), counts.read(4), counts.read(0)) == ((2, 30), (1, 15), (0, 0))
    counts.write(3, 0, 0)
    assert counts.read(3) == (0, 0)


def test_an_indirect_meter_marks_two_rates(load: Load) -> None:
    p = load("state")
    assert ask(p, 4, 2) == GREEN
    p.meters["I.rates"].set_config(2, MeterConfig(cir=15, cburst=15, pir=30, pburst=30))
    assert [ask(p, 4, 2, now_us=10) for _ in range(4)] == [GREEN, YELLOW, RED, RED]
    assert ask(p, 4, 2, now_us=1_000_010) == GREEN  # a second later: 15 and 30 bytes more
    assert ask(p, 4, 9) == GREEN  # beyond the array nothing is metered


def test_tokens_accumulate_exactly_and_only_up_to_the_burst() -> None:
    state = MeterState(MeterConfig(cir=3, cburst=1, pir=1000, pburst=1000))
    colours = [state.execute(t, 1) for t in range(0, 2_000_000, 100_000)]
    # 3 packets per second: the first pays from the bucket, then one every third of a second
    assert [i for i, c in enumerate(colours) if c == GREEN] == [0, 4, 7, 10, 14, 17]
    idle = MeterState(MeterConfig(cir=10, cburst=2, pir=10, pburst=5))
    idle.execute(0, 1)
    assert [idle.execute(60_000_000, 1) for _ in range(6)] == [0, 0, 1, 1, 1, 2]


def test_a_meter_without_a_known_unit_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        Meter("m", 1, "octets")


@pytest.mark.parametrize(
    ("algorithm", "data", "expected"),
    [
        ("crc16", b"123456789", 0xBB3D),
        ("crc16", b"12345678", 0x3C9D),
        ("crc16", b"", 0),
        ("crc16_custom", b"123456789", 0xBB3D),
        ("crc32", b"123456789", 0xCBF43926),
        ("crc32_custom", b"123456789", 0xCBF43926),
        ("crcCCITT", b"123456789", 0x29B1),
        ("csum16", bytes.fromhex("45000073000040004011b861c0a80001c0a800c7"), 0),
        ("csum16", bytes.fromhex("450000730000400040110000c0a80001c0a800c7"), 0xB861),
        ("csum16", b"\x01", 0xFEFF),
        ("csum16", b"\x00\x00", 0xFFFF),
        ("xor16", b"\x12\x34\x00\xff\x80", 0x92CB),
        ("xor32", b"\x01\x02\x03\x04\xff", 0xFE020304),
        ("identity", b"\x00\x01\x02", 0x000102),
        ("identity", bytes(range(1, 11)), 0x0102030405060708),
    ],
)
def test_a_hash_gives_its_known_value(algorithm: str, data: bytes, expected: int) -> None:
    assert hashes.ALGORITHMS[algorithm](data) == expected


def test_a_program_hashes_its_fields_as_big_endian_bytes(load: Load) -> None:
    p = load("state")
    index, value, odd = 0x01020304, 0x1122334455667788, 0xABC5
    both = struct.pack(">IQ", index, value)
    assert ask(p, 5, index, value) == hashes.crc16(both)
    padded = both + (0xABC << 4).to_bytes(2, "big")  # 12 bits are padded on the right
    assert ask(p, 6, index, value, odd) == hashes.crc32(padded)
    assert ask(p, 7, index, value) == hashes.xor16(both + b"\x01")
    assert ask(p, 8, index, value) == value
    assert ask(p, 9, index, value) == hashes.csum16(both)
    assert ask(p, 10, index, value) == hashes.crc16(both[4:]) % 10 + 100
    assert ask(p, 11, index, value, odd) == hashes.crc32(b"\xab\xc5")
    assert ask(p, 15, index, value, odd) == 3  # a modulus of zero counts as one
    assert {ask(p, 12) for _ in range(200)} == {10, 11, 12}


def go(n: int) -> ActionCall:
    return ActionCall("I.go", (n,))


def test_slots_are_chosen_by_hash_modulo_their_number_in_their_order(load: Load) -> None:
    p = load("state")
    table = p.tables["I.selected"]
    shares = ActionSet(((go(1), 3, -1), (go(2), 1, -1)))
    table.insert(Entry((7,), 0, shares))
    for value in range(50):
        slot = hashes.crc16(value.to_bytes(8, "big")) % 4
        assert member(p, 13, 7, value) == (1, 1, 1, 2)[slot]
    table.modify(Entry((7,), 0, ActionSet(((go(9), 4, -1),))))
    assert member(p, 13, 7, 3) == 9


def test_members_and_groups_change_under_the_entries_that_use_them(load: Load) -> None:
    p = load("state")
    profile, table = p.profiles["I.paths"], p.tables["I.selected"]
    profile.insert_member(1, go(11))
    profile.insert_member(2, go(22))
    profile.insert_group(5, [GroupMember(1)])
    table.insert(Entry((1,), 0, GroupRef(5)))
    table.insert(Entry((2,), 0, MemberRef(2)))
    assert (member(p, 13, 1), member(p, 13, 2)) == (11, 22)
    profile.modify_member(1, go(111))
    assert member(p, 13, 1) == 111
    profile.modify_group(5, [GroupMember(2)])
    assert member(p, 13, 1) == 22
    with pytest.raises(FailedPrecondition):
        profile.delete_member(2)
    with pytest.raises(FailedPrecondition):
        profile.delete_group(5)
    table.delete((1,), 0)
    profile.delete_group(5)
    table.delete((2,), 0)
    profile.delete_member(2)
    with pytest.raises(NotFound):
        profile.get_member(2)


def test_an_empty_group_drops_and_counts_instead_of_stopping_the_switch(load: Load) -> None:
    p = load("state")
    p.profiles["I.paths"].insert_group(5)
    p.tables["I.selected"].insert(Entry((1,), 0, GroupRef(5)))
    assert member(p, 13, 1) is None
    assert p.drops["empty group"] == 1


def test_slots_behind_a_port_that_is_down_are_left_out(load: Load) -> None:
    p = load("state")
    p.tables["I.selected"].insert(Entry((1,), 0, ActionSet(((go(1), 1, 3), (go(2), 1, 4)))))
    p.set_port_status(3, False)
    assert {member(p, 13, 1, v) for v in range(20)} == {2}
    p.set_port_status(4, False)
    assert member(p, 13, 1) is None
    p.set_port_status(3, True)
    assert {member(p, 13, 1, v) for v in range(20)} == {1}


def test_a_profile_refuses_what_it_cannot_hold(load: Load) -> None:
    p = load("state")
    plain, paths = p.profiles["I.members"], p.profiles["I.paths"]
    with pytest.raises(FailedPrecondition):
        plain.insert_group(1)
    with pytest.raises(InvalidArgument):
        paths.one_shot(())
    with pytest.raises(InvalidArgument):
        paths.insert_member(1, ActionCall("nobody"))
    with pytest.raises(NotFound):
        paths.insert_group(1, [GroupMember(99)])
    with pytest.raises(InvalidArgument):
        p.tables["I.selected"].insert(Entry((1,), 0, go(1)))
    paths.max_group_size = 8
    with pytest.raises(ResourceExhausted):
        p.tables["I.selected"].insert(Entry((1,), 0, ActionSet(((go(1), 9, -1),))))
    for i in range(16):
        plain.insert_member(i, go(i))
    with pytest.raises(ResourceExhausted):
        plain.insert_member(16, go(16))
    p.tables["I.profiled"].insert(Entry((4,), 0, MemberRef(3)))
    assert member(p, 14, 4) == 3
    assert member(p, 14, 5) == 0  # a miss in a table without a default action does nothing
