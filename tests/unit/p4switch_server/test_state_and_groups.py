"""Counters, meters, registers, members, groups and replication are written and read back."""

from __future__ import annotations

import grpc
import pytest
from finsy.proto import p4r, rpc_code
from unit.p4switch_server.client import (
    IDS,
    Client,
    action,
    balance_entry,
    codes,
    config,
    l2_entry,
    octets,
    reason,
    route_entry,
    update,
    with_action,
)

from p4switch.switch import Switch


def cell(kind: str, name: str, index: int | None) -> p4r.Entity:
    """A counter, meter or register entity; index None stands for all."""
    entity = p4r.Entity()
    message = getattr(entity, f"{kind}_entry")
    setattr(message, f"{kind}_id", IDS[name])
    if index is not None:
        message.index.index = index
    return entity


def test_counters_are_read_one_by_one_all_at_once_and_set(client: Client) -> None:
    entity = cell("counter", "I.port_counter", 4)
    entity.counter_entry.data.packet_count = 11
    entity.counter_entry.data.byte_count = 700
    client.write(update("MODIFY", entity))
    assert client.read(cell("counter", "I.port_counter", 4)) == [entity]
    every = client.read(cell("counter", "I.port_counter", None))
    assert [e.counter_entry.data.packet_count for e in every] == [0] * 4 + [11] + [0] * 11
    assert client.read(p4r.Entity(counter_entry=p4r.CounterEntry())) == every


def test_an_index_outside_the_array_is_out_of_range(client: Client) -> None:
    entity = cell("counter", "I.port_counter", 16)
    entity.counter_entry.data.packet_count = 1
    assert reason(client, update("MODIFY", entity))[0] == rpc_code.OUT_OF_RANGE
    with pytest.raises(grpc.RpcError) as failure:
        client.read(entity)
    assert failure.value.code() == grpc.StatusCode.OUT_OF_RANGE


def test_meters_are_set_read_and_reset(client: Client) -> None:
    entity = cell("meter", "I.port_meter", 2)
    assert client.read(entity) == [entity]
    configured = cell("meter", "I.port_meter", 2)
    rates = configured.meter_entry.config
    rates.cir, rates.cburst, rates.pir, rates.pburst = 1000, 100, 2000, 200
    client.write(update("MODIFY", configured))
    assert client.read(entity) == [configured]
    client.write(update("MODIFY", entity))
    assert client.read(entity) == [entity]
    rates.cir = -1
    assert reason(client, update("MODIFY", configured))[0] == rpc_code.INVALID_ARGUMENT


def test_the_meter_of_an_entry_is_set_with_it_or_apart(client: Client) -> None:
    entry = route_entry()
    entry.meter_config.cir = entry.meter_config.pir = 10
    entry.meter_config.cburst = entry.meter_config.pburst = 5
    client.write(update("INSERT", entry))
    asked = p4r.TableEntry(table_id=entry.table_id)
    assert client.read_table(asked) == [route_entry()]
    asked.meter_config.SetInParent()
    assert client.read_table(asked) == [entry]
    direct = p4r.Entity()
    direct.direct_meter_entry.table_entry.table_id = entry.table_id
    (one,) = client.read(direct)
    assert one.direct_meter_entry.config == entry.meter_config
    one.direct_meter_entry.config.cir = 99
    client.write(update("MODIFY", one))
    assert client.read_table(asked)[0].meter_config.cir == 99


def test_registers_are_read_and_set(switch: Switch, client: Client) -> None:
    mac = 0x0A0B0C0D0E0F
    switch.inject(3, bytes(6) + octets(mac) + b"\x12\x34" + bytes(46))
    (one,) = client.read(cell("register", "I.last_src", 3))
    assert one.register_entry.data.bitstring == octets(mac)
    one.register_entry.data.bitstring = b"\x07"
    client.write(update("MODIFY", one))
    every = client.read(cell("register", "I.last_src", None))
    assert len(every) == 32
    assert every[3].register_entry.data.bitstring == b"\x07"
    one.register_entry.data.bitstring = bytes([1, 0, 0, 0, 0, 0, 0])
    assert reason(client, update("MODIFY", one))[0] == rpc_code.INVALID_ARGUMENT


def member(number: int, port: int) -> p4r.Entity:
    entity = p4r.Entity()
    entity.action_profile_member.action_profile_id = IDS["I.balancer"]
    entity.action_profile_member.member_id = number
    entity.action_profile_member.action.CopyFrom(action("I.forward", port))
    return entity


def group(number: int, *members: tuple[int, int]) -> p4r.Entity:
    entity = p4r.Entity()
    message = entity.action_profile_group
    message.action_profile_id, message.group_id = IDS["I.balancer"], number
    for member_id, weight in members:
        message.members.add(member_id=member_id, weight=weight)
    return entity


def test_members_and_groups_are_written_read_and_deleted_in_order(client: Client) -> None:
    client.write(update("INSERT", member(1, 4)), update("INSERT", member(2, 5)))
    watched = group(1, (1, 2), (2, 1))
    watched.action_profile_group.members[0].watch_port = b"\x04"
    client.write(update("INSERT", watched))
    entry = p4r.TableEntry(table_id=IDS["I.balance"])
    entry.match.add(field_id=1).exact.value = b"\x06"
    entry.action.action_profile_group_id = 1
    client.write(update("INSERT", entry))
    assert client.read_table(p4r.TableEntry(table_id=entry.table_id)) == [entry]
    asked = p4r.Entity(action_profile_group=p4r.ActionProfileGroup())
    assert client.read(asked) == [watched]
    asked = p4r.Entity(action_profile_member=p4r.ActionProfileMember())
    assert client.read(asked) == [member(1, 4), member(2, 5)]
    assert codes(
        client,
        update("INSERT", member(1, 9)),
        update("DELETE", member(1, 4)),
        update("DELETE", group(1)),
        update("INSERT", group(2, (7, 1))),
        update("MODIFY", member(2, 6)),
    ) == [
        rpc_code.ALREADY_EXISTS,
        rpc_code.FAILED_PRECONDITION,
        rpc_code.FAILED_PRECONDITION,
        rpc_code.NOT_FOUND,
        0,
    ]
    client.write(update("DELETE", entry))
    client.write(update("DELETE", group(1)))
    client.write(update("DELETE", member(1, 4)), update("DELETE", member(2, 6)))


def test_weights_beyond_all_memory_are_refused(client: Client) -> None:
    unlimited = config()
    unlimited.p4info.action_profiles[0].max_group_size = 0
    client.push(unlimited)
    client.write(update("INSERT", balance_entry((1, 60_000))))
    code, message = reason(client, update("MODIFY", balance_entry((1, 2_000_000_000))))
    assert code == rpc_code.RESOURCE_EXHAUSTED
    assert "65536" in message
    client.write(update("INSERT", member(1, 4)))
    assert reason(client, update("INSERT", group(1, (1, 2_000_000_000))))[0] == code


def test_a_watched_port_of_a_slot_reads_back(client: Client) -> None:
    entry = balance_entry((1, 1), (2, 1))
    slots = entry.action.action_profile_action_set.action_profile_actions
    slots[1].watch_port = b"\x02"
    client.write(update("INSERT", entry))
    assert client.read_table(p4r.TableEntry(table_id=entry.table_id)) == [entry]


def multicast(
    number: int, *ports: int, as_bytes: bool = False, metadata: bytes = b""
) -> p4r.Entity:
    entity = p4r.Entity()
    message = entity.packet_replication_engine_entry.multicast_group_entry
    message.multicast_group_id, message.metadata = number, metadata
    for instance, port in enumerate(ports, 1):
        if as_bytes:
            message.replicas.add(port=octets(port), instance=instance)
        else:
            message.replicas.add(egress_port=port, instance=instance)
    return entity


def clone(number: int, port: int, length: int = 0) -> p4r.Entity:
    entity = p4r.Entity()
    message = entity.packet_replication_engine_entry.clone_session_entry
    message.session_id, message.packet_length_bytes = number, length
    message.replicas.add(egress_port=port, instance=1)
    return entity


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (multicast(1, 1, 2, 3), multicast(1, 4)),
        (multicast(3, 1, metadata=b"who"), multicast(3, 1, metadata=b"else")),
        (multicast(2, 1, 2, as_bytes=True), multicast(2, 7, as_bytes=True)),
        (clone(5, 3, 64), clone(5, 4)),
    ],
    ids=["multicast", "multicast with metadata", "multicast with byte ports", "clone session"],
)
def test_replication_is_written_read_modified_and_deleted(
    client: Client, first: p4r.Entity, second: p4r.Entity
) -> None:
    asked = p4r.Entity()
    kind = first.packet_replication_engine_entry.WhichOneof("type")
    getattr(asked.packet_replication_engine_entry, kind).SetInParent()
    assert reason(client, update("MODIFY", first))[0] == rpc_code.NOT_FOUND
    client.write(update("INSERT", first))
    assert client.read(asked) == [first] == client.read(first)
    assert reason(client, update("INSERT", first))[0] == rpc_code.ALREADY_EXISTS
    client.write(update("MODIFY", second))
    assert client.read(asked) == [second]
    client.write(update("DELETE", first))
    assert client.read(asked) == []


def test_a_multicast_packet_leaves_on_every_port_of_the_group(
    switch: Switch, client: Client
) -> None:
    entry = with_action(l2_entry(0xFFFFFFFFFFFF), "I.broadcast", 1)
    client.write(update("INSERT", multicast(1, 1, 2, 3)), update("INSERT", entry))
    packet = b"\xff" * 6 + bytes(6) + b"\x12\x34" + bytes(46)
    assert sorted(port for port, _ in switch.inject(5, packet)) == [1, 2, 3]
