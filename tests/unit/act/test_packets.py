"""Packets from the data plane are told apart, and what was given up disturbs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.act.packets import (
    IN_PROBE,
    IN_RECORD,
    IN_SCAN_DONE,
    PacketsIn,
    ScanResult,
)
from controller.act.probes import Probe, ProbeAnswer, probe_frame
from controller.act.records import Record, RecordKind, State, record_frame


class Packet(dict[str, int]):
    """As finsy gives it: metadata by name, and a payload."""

    payload: bytes = b""


def scan_done(cursor: int, sent: int = 0, live: int = 3) -> Packet:
    return Packet(reason=IN_SCAN_DONE, cursor=cursor, live=live, expired=1, sent=sent)


def with_payload(reason: int, payload: bytes) -> Packet:
    packet = Packet(reason=reason, cursor=0, live=0, expired=0, sent=0)
    packet.payload = payload
    return packet


def full(number: int) -> Packet:
    record = Record(RecordKind.FULL, number, State.ESTABLISHED, 1, 301, 7000 + number, 401, 5, 6)
    return with_payload(IN_RECORD, record_frame(record, 0))


def play(story: Callable[[PacketsIn, list[ProbeAnswer]], Awaitable[None]]) -> None:
    async def run() -> None:
        answers: list[ProbeAnswer] = []
        await story(PacketsIn("r1", answers.append), answers)

    asyncio.run(run())


def test_a_scan_is_answered_by_the_packet_that_ends_where_it_ends() -> None:
    async def story(packets: PacketsIn, _: list[ProbeAnswer]) -> None:
        done = packets.expect(64, None)
        packets.take(scan_done(32))  # of a scan that was given up
        assert not done.done()
        packets.take(scan_done(64, sent=2))
        assert await done == ScanResult(3, 1, 2)

    play(story)


@given(st.permutations([0, 1, 2, 3]))
def test_a_dump_is_whole_in_whatever_order_it_comes(order: list[int]) -> None:
    async def story(packets: PacketsIn, _: list[ProbeAnswer]) -> None:
        records: list[Record] = []
        done = packets.expect(64, records)
        for number in order:  # 3 stands for the end of the scan
            assert not done.done()
            packets.take(scan_done(64, sent=3) if number == 3 else full(number))
        assert (await done).sent == 3
        assert sorted(record.sequence for record in records) == [0, 1, 2]

    play(story)


def test_an_empty_piece_of_a_dump_is_whole_at_once() -> None:
    async def story(packets: PacketsIn, _: list[ProbeAnswer]) -> None:
        done = packets.expect(64, [])
        packets.take(scan_done(64))
        assert (await done).sent == 0

    play(story)


def test_what_comes_of_a_scan_that_was_given_up_is_ignored() -> None:
    async def story(packets: PacketsIn, _: list[ProbeAnswer]) -> None:
        records: list[Record] = []
        packets.expect(64, records)
        packets.forget()
        packets.take(full(0))
        packets.take(scan_done(64))
        assert records == []

    play(story)


def test_who_waits_for_a_scan_is_told_that_no_answer_will_come() -> None:
    async def story(packets: PacketsIn, _: list[ProbeAnswer]) -> None:
        packets.fail(ConnectionError("nobody waits"))
        done = packets.expect(64, None)
        packets.fail(ConnectionError("gone"))
        with pytest.raises(ConnectionError, match="gone"):
            await done

    play(story)


def test_a_probe_is_handed_on_and_damaged_packets_are_not() -> None:
    async def story(packets: PacketsIn, answers: list[ProbeAnswer]) -> None:
        frame = probe_frame(301, Probe(302, 5, 9))
        packets.take(with_payload(IN_PROBE, frame))
        packets.take(with_payload(IN_PROBE, frame[:60]))
        packets.take(with_payload(IN_RECORD, b"nonsense"))
        packets.take(with_payload(200, b""))
        assert [answer.id for answer in answers] == [5]

    play(story)
