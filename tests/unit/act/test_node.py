"""What a link does when its switch hangs, is taken over, or refuses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import finsy as fy
import pytest

from controller.act import node, silence
from controller.act.errors import describe
from controller.act.fabric import FabricDriver
from controller.act.node import NodeLink
from controller.act.probes import Probe
from controller.act.program import default_files
from controller.model import Fabric, Hop, TargetRow
from controller.plan.fabric import slot_set_id
from harness.small import R1, R2, WEB, at, mac, small_fabric, small_plan, weighted
from p4switch.switch import Switch

PATIENCE_S = 20.0


class Hose:
    """A TCP connection to a switch through which nothing comes while it is squeezed."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._target = (host, int(port))
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.address = ""

    def squeeze(self) -> None:
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Hose]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._target)
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._copy(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                await self._open.wait()
                sink.write(data)
                await sink.drain()
        sink.close()


def play(story: Callable[[NodeLink, Hose], Awaitable[None]]) -> None:
    """One link to one switch through a hose, up and reconciled when the story begins."""

    async def reconciled(link: NodeLink) -> None:
        await link.reconcile(small_plan("e1"))

    async def run(address: str) -> None:
        async with Hose(address).serving() as hose:
            link = NodeLink(
                at(small_fabric(), "e1", hose.address, 1),
                default_files(),
                on_connected=reconciled,
                on_down=lambda _: None,
                on_digest=lambda *_: None,
            )
            running = asyncio.create_task(link.run())
            try:
                await until(lambda: link.reconciled)
                await story(link, hose)
            finally:
                running.cancel()
                async with asyncio.timeout(PATIENCE_S):  # even when the switch hangs
                    await asyncio.gather(running, return_exceptions=True)

    with Switch(device_id=1, grpc_address="127.0.0.1:0") as switch:
        asyncio.run(run(switch.grpc_address))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.02)


async def ask(link: NodeLink) -> None:
    with contextlib.suppress(TimeoutError, node.NodeDown):
        async with asyncio.timeout(0.1):
            await link.read([fy.P4TableEntry("services")])


def test_a_switch_that_stops_answering_is_down_and_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(silence, "SILENT_S", 0.2)
    monkeypatch.setattr(silence, "PROBE_TIMEOUT_S", 0.2)

    async def story(link: NodeLink, hose: Hose) -> None:
        hose.squeeze()
        async with asyncio.timeout(PATIENCE_S):
            while link.up:
                await ask(link)
                await asyncio.sleep(0.02)
        await until(lambda: link.last_error is not None)
        assert "has not answered" in str(link.last_error)
        hose.release()
        await until(lambda: link.reconciled)

    play(story)


def test_who_waits_for_an_answer_when_the_connection_ends_is_told_so_and_goes_on() -> None:
    async def story(link: NodeLink, hose: Hose) -> None:
        hose.squeeze()
        asking = asyncio.create_task(link.read([fy.P4TableEntry("services")]))
        writing = asyncio.create_task(link.write_slot_sets([weighted(WEB, {R1: 100})]))
        await asyncio.sleep(0.1)  # both are on their way
        assert link._ended is not None
        link._ended.set_result("the test says so")
        for waiting in (asking, writing):
            with pytest.raises(node.NodeDown):
                await waiting
        hose.release()

    play(story)


def test_a_switch_that_accepts_and_says_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "CONNECT_TIMEOUT_S", 0.3)

    async def run() -> None:
        async def silent(*_: object) -> None:
            await asyncio.Event().wait()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        link = NodeLink(
            at(small_fabric(), "e1", f"127.0.0.1:{port}", 1),
            default_files(),
            on_connected=lambda _: None,
            on_down=lambda _: None,
            on_digest=lambda *_: None,
        )
        running = asyncio.create_task(link.run())
        try:
            await until(lambda: "does not answer" in str(link.last_error))
        finally:
            running.cancel()
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.gather(running, return_exceptions=True)
            server.close()

    asyncio.run(run())


def test_a_switch_taken_over_is_down_until_the_other_controller_leaves() -> None:
    async def story(link: NodeLink, hose: Hose) -> None:
        files = default_files()
        rival = fy.SwitchOptions(
            p4info=files.p4info, p4blob=files.json, device_id=1, initial_election_id=1000
        )
        async with fy.Switch("rival", hose.address, rival):
            await until(lambda: not link.up and "another controller" in str(link.last_error))
        await until(lambda: link.reconciled)

    play(story)


def test_a_refused_update_is_told_by_its_number_and_kind() -> None:
    async def story(link: NodeLink, _: Hose) -> None:
        there = weighted(WEB, {R1: 100})
        absent = replace(there, id=4000)
        with pytest.raises(fy.P4ClientError) as caught:
            await link.write_slot_sets([there, absent])
        assert "update 2: NOT_FOUND" in describe(caught.value)

    play(story)


def test_a_switch_that_hangs_is_left_out_of_what_is_read_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run(address: str) -> None:
        async with Hose(address).serving() as hose:
            whole = small_fabric()
            fabric = Fabric((at(whole, "e1", hose.address, 1),), (), (), (), whole.services)
            driver = FabricDriver(fabric, default_files())
            await driver.start()
            try:
                await driver.wait_up(PATIENCE_S)
                hose.squeeze()
                assert await driver.slots_in_force() == {}
            finally:
                async with asyncio.timeout(PATIENCE_S):
                    await driver.stop()

    monkeypatch.setattr("controller.act.fabric.READ_BACK_TIMEOUT_S", 0.3)
    with Switch(device_id=1, grpc_address="127.0.0.1:0") as switch:
        asyncio.run(run(switch.grpc_address))


def test_a_reconcile_under_way_reverts_no_newer_write() -> None:
    async def story(link: NodeLink, _: Hose) -> None:
        here = {row.binding: row for row in small_plan("e1").targets}
        there = TargetRow(R1, (Hop(R2, mac("r2")),))
        for last in (there, here[R1], there):
            reconciling = asyncio.create_task(link.reconcile())
            for row in (here[R1], there, here[R1], last):
                await link.write_targets([row])
                await link.write_slot_sets([weighted(WEB, {R1: 100})])
            await reconciling
            assert await targets(link) == {R1: [hop.label for hop in last.hops], R2: [R2]}
            assert (await link.slot_sets())[slot_set_id(small_fabric().services[0])] == (R1,) * 100
        assert await link.reconcile() == 0

    play(story)


def test_a_write_that_failed_is_made_up_for_by_the_reconcile_under_way() -> None:
    async def story(link: NodeLink, _: Hose) -> None:
        plan = small_plan("e1")
        await link.reconcile(replace(plan, targets=()))
        link.wanted = plan
        reconciling = asyncio.create_task(link.reconcile())
        both = TargetRow(R1, (Hop(R2, mac("r2")), Hop(R1, mac("r1"))))
        with contextlib.suppress(fy.P4ClientError):  # the binding may not be there yet
            await link.write_targets([both])
        await reconciling
        assert await targets(link) == {R1: [R2, R1], R2: [R2]}

    play(story)


async def targets(link: NodeLink) -> dict[int, list[int]]:
    """Binding → labels, as the switch holds them."""
    return {
        entry.match["binding"]: [call.args["label"] for _, call in entry.action.action_set]
        for entry in await link.read([fy.P4TableEntry("binding_targets")])
    }


def test_who_waits_for_a_scan_when_the_connection_ends_is_told_so() -> None:
    async def story(link: NodeLink, hose: Hose) -> None:
        hose.squeeze()
        waiting = asyncio.create_task(link.scan(0, 64, timeout_s=PATIENCE_S))
        await asyncio.sleep(0.1)  # it is on its way
        assert link._ended is not None
        link._ended.set_result("the test says so")
        with pytest.raises(node.NodeDown):
            await waiting
        hose.release()

    play(story)


def test_a_probe_cannot_be_sent_by_a_switch_that_is_not_connected() -> None:
    fabric = small_fabric()
    driver = FabricDriver(fabric, default_files())
    with pytest.raises(node.NodeDown, match="e1 is not connected"):
        asyncio.run(driver.probe("e1", Probe(R1, 1, 2)))
