"""A shadow holds what its primary holds: by records, and by scans where records were lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.act.errors import NodeDown
from controller.act.fabric import FabricDriver
from controller.act.packets import EXPIRE, Scan, ScanMode
from controller.act.records import Connection, Record, RecordKind, State
from controller.model import RecordEvent
from controller.resilience.resync import OWNED
from harness.packets import label_of
from harness.pair import Pair, pair
from harness.small import B1, B2, CLIENT_IP, R1, R2, VIP, WEB

WEB_PORT = 80


@pytest.fixture
def routers(kind: str, tmp_path: Path) -> Iterator[Pair]:
    """r1 and r2, each the other's shadow."""
    with pair(kind, tmp_path) as both:
        yield both


def facts(records: list[Record]) -> dict[int, tuple[Any, ...]]:
    """What two tables must agree on, by connection."""
    return {
        record.signature: (record.state, record.service, record.binding, record.size_bytes)
        for record in records
    }


async def held(routers: Pair, holder: str, origins: int) -> dict[int, tuple[Any, ...]]:
    return facts(await routers.driver.dump(holder, origins=origins))


async def same(routers: Pair, primary: str = "r1", shadow: str = "r2") -> bool:
    """Do both hold the same, to the byte?"""
    replicas = 1 << routers.number(shadow)
    return await held(routers, primary, OWNED) == await held(routers, shadow, replicas)


async def alike(routers: Pair, primary: str = "r1", shadow: str = "r2") -> bool:
    """The same but for the bytes: records carry those each 64 KiB and at the end only."""
    replicas = 1 << routers.number(shadow)
    one = await held(routers, primary, OWNED)
    other = await held(routers, shadow, replicas)
    return {key: value[:3] for key, value in one.items()} == {
        key: value[:3] for key, value in other.items()
    }


TO_R2 = Scan(ScanMode.FULL, session=R2, origins=OWNED)


async def resync(routers: Pair, generation: int) -> int:
    """r2's replicas of r1 are made right; returns how often the whole table had to be sent."""
    driver: FabricDriver = routers.driver
    number = routers.number("r2")
    driver.want(routers.plan({("r2", "r1"): generation}))
    assert not (await driver.reconcile("r2")).failed
    for attempt in range(1, 20):
        before = (await driver.replication("r2")).count(number, RecordEvent.BY_SCAN)
        done = await driver.walk("r1", TO_R2)

        async def came(before: int = before, sent: int = done.sent) -> bool:
            now = (await driver.replication("r2")).count(number, RecordEvent.BY_SCAN)
            return now - before >= sent

        try:
            async with asyncio.timeout(0.5):
                await routers.until(came)
        except TimeoutError:
            continue
        await driver.walk("r2", Scan(ScanMode.SWEEP, origins=1 << number, generation=generation))
        return attempt
    raise AssertionError("the shadow was not made right in 20 attempts")


def test_a_dump_holds_every_connection_with_its_signature(routers: Pair) -> None:
    routers.open(range(1000, 1040))
    records = routers.do(routers.driver.dump("r1", origins=OWNED))
    expected = {
        Connection(CLIENT_IP, VIP, 6, port, WEB_PORT).signature for port in range(1000, 1040)
    }
    assert {record.signature for record in records} == expected
    assert len(records) == len(expected)
    assert {record.state for record in records} == {State.ESTABLISHED}
    assert {record.binding for record in records} == {B1, B2}
    assert {(record.kind, record.service, record.origin) for record in records} == {
        (RecordKind.FULL, WEB, R1)
    }


def test_a_shadow_learns_of_every_step_of_a_connection(routers: Pair) -> None:
    routers.open(range(1000, 1030))
    routers.tcp(1000, "FA")
    routers.tcp(1001, "R")
    routers.do(routers.forwarded(62))
    routers.do(routers.until(lambda: alike(routers)))
    replicas = routers.do(routers.driver.dump("r2", origins=1 << routers.number("r2")))
    assert sum(record.state is State.CLOSING for record in replicas) == 2
    assert routers.do(routers.driver.dump("r2", origins=OWNED)) == []


def test_what_the_counters_say_adds_up(routers: Pair) -> None:
    routers.open(range(1000, 1020))
    routers.tcp(1000, "FA")
    routers.do(routers.until(lambda: alike(routers)))
    sent = routers.do(routers.driver.replication("r1")).sent
    assert (sent[RecordKind.OPEN], sent[RecordKind.STATE], sent[RecordKind.CLOSE]) == (20, 20, 1)
    received = routers.do(routers.driver.replication("r2"))
    number = routers.number("r2")
    assert received.sequenced(number) == 41
    assert received.count(number, RecordEvent.AFTER_GAP) == 0


@pytest.mark.parametrize("loss", [0.01, 0.1, 0.5])
def test_lost_records_are_repaired_by_a_scan(routers: Pair, loss: float) -> None:
    luck = random.Random(7)
    routers.cable.loses = lambda _: luck.random() < loss
    routers.open(range(1000, 1100))
    for sport in range(1000, 1100, 3):
        routers.tcp(sport, "FA")
    routers.do(routers.forwarded(234))
    assert routers.cable.lost
    routers.cable.loses = lambda _: False
    assert routers.do(resync(routers, 1)) == 1
    assert routers.do(same(routers))


def test_a_scan_that_loses_records_itself_is_noticed_and_repeated(routers: Pair) -> None:
    routers.cable.loses = lambda record: record.kind is RecordKind.OPEN
    routers.open(range(1000, 1050))
    left = iter([True] * 10)
    routers.cable.loses = lambda record: record.kind is RecordKind.FULL and next(left, False)
    assert routers.do(resync(routers, 1)) == 2
    assert routers.do(same(routers))


def test_replicas_of_connections_that_ended_unheard_are_swept(routers: Pair) -> None:
    routers.open(range(1000, 1010))
    routers.do(routers.until(lambda: alike(routers)))
    routers.devices["r1"].kill()  # it comes back empty, with other connections
    routers.devices["r1"].start()
    routers.do(routers.until(lambda: empty(routers, "r1")))
    routers.open(range(2000, 2005))
    routers.do(resync(routers, 1))
    assert routers.do(same(routers))
    assert len(routers.do(held(routers, "r2", 1 << routers.number("r2")))) == 5


async def empty(routers: Pair, name: str) -> bool:
    status = routers.driver.status()[name]
    if not (status.up and status.reconciled):
        return False
    try:
        return await routers.driver.dump(name) == []
    except (NodeDown, TimeoutError):
        return False


def test_a_router_that_comes_back_empty_gets_its_connections_back(routers: Pair) -> None:
    routers.open(range(1000, 1040))
    routers.do(routers.until(lambda: alike(routers)))
    before = routers.do(held(routers, "r2", 1 << routers.number("r2")))
    routers.devices["r1"].kill()
    routers.devices["r1"].start()
    routers.do(routers.until(lambda: empty(routers, "r1")))
    scan = Scan(ScanMode.GIVE, session=R1, origins=1 << routers.number("r2"))
    given = routers.do(routers.driver.walk("r2", scan))
    assert given.sent == 40

    async def back() -> bool:
        return await held(routers, "r1", OWNED) == before

    routers.do(routers.until(back))
    adopted = routers.do(routers.driver.replication("r1")).adopted[WEB]
    counted = next(one for one in routers.do(routers.driver.read_counters()) if one.node == "r1")
    assert adopted == 40
    assert counted.services[WEB].live == 40


def test_a_shadow_that_gets_the_packets_carries_the_connections(routers: Pair) -> None:
    routers.open(range(1000, 1020))
    routers.do(routers.until(lambda: alike(routers)))
    bound = {r.signature: r.binding for r in routers.do(routers.driver.dump("r1", origins=OWNED))}
    routers.cable.others.clear()
    for sport in range(1000, 1020):
        routers.tcp(sport, "A", to="r2")
    routers.do(routers.forwarded(20))
    assert {label_of(frame) for _, frame in routers.cable.others} == {B1, B2}
    taken = {r.signature: r.binding for r in routers.do(routers.driver.dump("r2", origins=OWNED))}
    assert taken == bound

    async def handed_over() -> bool:
        return (await routers.driver.replication("r1")).released.get(WEB) == 20

    routers.do(routers.until(handed_over))
    assert routers.do(alike(routers, "r2", "r1"))
    readings = routers.do(routers.driver.read_counters())
    assert {one.node: one.services[WEB].live for one in readings} == {"r1": 0, "r2": 20}


def test_walks_over_one_table_take_turns_and_both_are_right(routers: Pair) -> None:
    routers.open(range(1000, 1050))

    async def both() -> tuple[int, int, int]:
        dumped, scanned, again = await asyncio.gather(
            routers.driver.dump("r1", origins=OWNED),
            routers.driver.scan("r1"),
            routers.driver.dump("r1", origins=OWNED),
        )
        return len(dumped), scanned.live, len(again)

    assert routers.do(both()) == (50, 50, 50)


def test_a_walk_says_how_far_it_is(routers: Pair) -> None:
    steps: list[tuple[int, int]] = []
    routers.do(routers.driver.walk("r1", TO_R2, progress=lambda done, of: steps.append((done, of))))
    size = routers.fabric.switch("r1").table_size
    assert steps[-1] == (size, size)
    assert [done for done, _ in steps] == sorted({done for done, _ in steps})


def test_a_walk_over_a_switch_that_dies_ends(routers: Pair) -> None:
    def kill_after_the_first_piece(done: int, of: int) -> None:
        if done < of:
            routers.devices["r1"].kill()

    with pytest.raises((NodeDown, TimeoutError)):
        routers.do(routers.driver.walk("r1", EXPIRE, progress=kill_after_the_first_piece))
