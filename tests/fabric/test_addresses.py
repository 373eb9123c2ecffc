"""What a client outside experiences of addresses that are held ahead: whole fabric, pool, host, NAT."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from controller.model import AddressState, Subdivision
from topologies.bench.addresses.fabric import AddressFabric, address_fabric
from topologies.bench.addresses.watch import Watch

POD = Subdivision("pod", ("10.64.0.0/24",), "main", "s1", external="198.51.100.0/24")

Story = Callable[[AddressFabric], Coroutine[Any, Any, None]]


@pytest.fixture
def tell(kind: str, tmp_path: Path) -> Callable[[Story], None]:
    """Run a story on a fabric of its own."""

    async def told(story: Story) -> None:
        async with address_fabric(kind, tmp_path, (POD,)) as fabric:
            await story(fabric)

    return lambda story: asyncio.run(told(story))


@pytest.mark.parametrize(
    ("separate", "host"),
    [(False, "b1"), (True, "b1"), (False, "b2")],
    ids=["its_namespace", "own_namespace", "another_host"],
)
def test_no_ping_is_lost_while_a_warm_address_is_handed_over(
    tell: Callable[[Story], None], separate: bool, host: str
) -> None:
    async def story(fabric: AddressFabric) -> None:
        await fabric.hold(POD, 3)
        external = fabric.next_external(POD)
        with Watch(fabric.network, "ping", external) as watch:
            await asyncio.sleep(0.3)
            served = await fabric.request(POD, "i1", separate=separate, host=host)
            await asyncio.sleep(0.3)
            said = await asyncio.to_thread(watch.said, True)
        served.expect(external)
        assert served.grant.warm
        assert served.running.warm == (host == "b1")
        last_ns = max(sent for sent, _ in said["answers"])
        assert len(said["answers"]) > 100
        assert [at for at in said["unanswered"] if at < last_ns] == []
        state = await fabric.agent.host.state()
        assert len(state.held) == 2
        assert all(held.confirmed and not held.disputed for held in state.held)

    tell(story)


def test_the_first_connection_is_served_warm_or_cold(tell: Callable[[Story], None]) -> None:
    async def story(fabric: AddressFabric) -> None:
        await fabric.hold(POD, 1)
        for name, warm in (("first", True), ("second", False)):
            external = "198.51.100.1" if warm else "198.51.100.2"
            with Watch(fabric.network, "connect", external) as watch:
                served = await fabric.request(POD, name)
                said = await asyncio.to_thread(watch.said)
            served.expect(external)
            assert (served.grant.warm, served.running.warm) == (warm, warm)
            assert said["name"] == name
            assert said["accepted_ns"] > served.asked_ns
        running = (await fabric.agent.host.state()).instances
        assert {one.address for one in running} == {"10.64.0.1", "10.64.0.2"}
        await fabric.end(served)
        found = fabric.pool.address(served.grant.address)
        assert found is not None
        assert found.state is AddressState.COOLING

    tell(story)


def test_rows_written_at_once_are_those_that_a_comparison_wants(
    tell: Callable[[Story], None],
) -> None:
    async def story(fabric: AddressFabric) -> None:
        await fabric.hold(POD, 5)
        await fabric.request(POD, "i1")
        assert await fabric.differences() == 0

    tell(story)


def test_rows_are_written_at_once_while_all_are_compared(tell: Callable[[Story], None]) -> None:
    async def story(fabric: AddressFabric) -> None:
        comparing = asyncio.ensure_future(fabric.differences())
        for _ in range(10):
            await fabric.hold(POD, 5)
        assert await comparing >= 0
        assert await fabric.differences() == 0

    tell(story)
