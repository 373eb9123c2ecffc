"""finsy, an independent P4Runtime client, works against the switch unchanged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import finsy as fy
import pytest
from unit.p4switch_server.client import PROGRAMS

from p4switch.switch import Switch

INFO, JSON = PROGRAMS / "server.p4info.txtpb", PROGRAMS / "server.json"
TIMEOUT_S = 20.0


def options() -> fy.SwitchOptions:
    return fy.SwitchOptions(p4info=INFO, p4blob=JSON, device_id=1)


def run(switch: Switch, work: Callable[[fy.Switch], Awaitable[None]]) -> None:
    """Connect as finsy's users do, and do the work once the pipeline is ready."""

    async def main() -> None:
        async with fy.Switch("sw1", switch.grpc_address, options()) as sw:
            async with asyncio.timeout(TIMEOUT_S):
                await work(sw)

    asyncio.run(main())


def l2(mac: int, port: int) -> fy.P4TableEntry:
    return fy.P4TableEntry(
        "I.l2",
        match=fy.Match(**{"h.ethernet.dst": mac}),
        action=fy.Action("I.l2_forward", port=port),
    )


def test_finsy_pushes_the_pipeline_writes_and_reads_back(switch: Switch) -> None:
    async def work(sw: fy.Switch) -> None:
        assert sw.is_primary
        await sw.insert([l2(i, 3) for i in range(5)])
        entries = [e async for e in sw.read(fy.P4TableEntry("I.l2"))]
        assert [list(e.match.values()) for e in entries if e.match] == [[i] for i in range(5)]
        await sw.delete([l2(0, 3)])
        await sw.modify([l2(1, 9)])
        (entry,) = [e async for e in sw.read(l2(1, 0))]
        assert isinstance(entry.action, fy.P4TableAction)
        assert entry.action.args == {"port": 9}

    run(switch, work)


def test_finsy_sees_which_updates_of_a_batch_failed(switch: Switch) -> None:
    async def work(sw: fy.Switch) -> None:
        await sw.insert([l2(1, 3)])
        with pytest.raises(fy.P4ClientError) as failure:
            await sw.insert([l2(0, 3), l2(1, 3), l2(2, 3)])
        error = failure.value
        assert list(error.details) == [1]
        assert error.details[1].canonical_code == fy.GRPCStatusCode.ALREADY_EXISTS
        assert len([e async for e in sw.read(fy.P4TableEntry("I.l2"))]) == 3

    run(switch, work)


def test_finsy_changes_the_weights_of_a_slot_set(switch: Switch) -> None:
    def slots(first: int) -> fy.P4TableEntry:
        return fy.P4TableEntry(
            "I.balance",
            match=fy.Match(**{"h.ipv4.proto": 6}),
            action=fy.P4IndirectAction(
                action_set=[
                    first * fy.Action("I.forward", port=1),
                    (100 - first) * fy.Action("I.forward", port=2),
                ]
            ),
        )

    async def work(sw: fy.Switch) -> None:
        await sw.insert([slots(70)])
        await sw.modify([slots(10)])
        (entry,) = [e async for e in sw.read(slots(10))]
        assert isinstance(entry.action, fy.P4IndirectAction)
        assert entry.action.action_set is not None
        assert [weight for weight, _ in entry.action.action_set] == [10, 90]

    run(switch, work)


def test_finsy_exchanges_packets_and_receives_digests(switch: Switch) -> None:
    to_cpu = fy.P4TableEntry(
        "I.l2",
        match=fy.Match(**{"h.ethernet.dst": 0xD}),
        action=fy.Action("I.to_cpu", reason=17),
    )
    frame = bytes.fromhex("00000000000d000000000005") + b"\x12\x34" + bytes(46)
    unknown = bytes.fromhex("00000000000e000000000005") + b"\x12\x34" + bytes(46)

    async def work(sw: fy.Switch) -> None:
        digests = sw.read_digests("learn_t")
        packets = sw.read_packets()
        # finsy keeps messages from the moment that someone waits for the first one.
        first_packet = asyncio.ensure_future(anext(packets))
        first_digest = asyncio.ensure_future(anext(digests))
        await asyncio.sleep(0)
        await sw.insert(
            [to_cpu, fy.P4DigestEntry("learn_t", max_list_size=1, ack_timeout_ns=10**9)]
        )
        await asyncio.to_thread(switch.inject, 2, frame)
        packet = await first_packet
        assert packet.payload == frame
        assert (packet["ingress_port"], packet["reason"]) == (2, 17)
        await asyncio.to_thread(switch.inject, 3, unknown)
        digest = await first_digest
        assert [(d["mac"], d["port"]) for d in digest.data] == [(5, 3)]
        await sw.write([fy.P4DigestListAck("learn_t", digest.list_id)])
        # Out on port 510, the CPU, and so back again.
        await sw.write([fy.P4PacketOut(b"\0\0\0\0" + frame, egress_port=510, _pad=0)])
        assert (await anext(packets)).payload == frame

    run(switch, work)


def test_a_second_finsy_controller_stands_by_and_takes_over(switch: Switch) -> None:
    async def main() -> None:
        backup = options()(initial_election_id=5)
        primary_is_ready = asyncio.Event()
        async with asyncio.timeout(TIMEOUT_S):
            async with fy.Switch("sw2", switch.grpc_address, backup) as second:
                assert second.is_primary
                became_backup = asyncio.Event()
                became_primary = asyncio.Event()
                second.ee.add_listener(fy.SwitchEvent.BECOME_BACKUP, lambda _: became_backup.set())
                second.ee.add_listener(
                    fy.SwitchEvent.BECOME_PRIMARY, lambda _: became_primary.set()
                )
                async with fy.Switch("sw1", switch.grpc_address, options()) as first:
                    assert first.is_primary
                    primary_is_ready.set()
                    await became_backup.wait()
                    with pytest.raises(fy.P4ClientError) as failure:
                        await second.insert([l2(1, 1)])
                    assert failure.value.code == fy.GRPCStatusCode.PERMISSION_DENIED
                await became_primary.wait()
                await second.insert([l2(1, 1)])

    asyncio.run(main())
