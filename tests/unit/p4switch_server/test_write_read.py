"""Everything that can be written reads back, and what cannot is refused update by update."""

from __future__ import annotations

import grpc
import pytest
from finsy.proto import p4r, rpc_code
from unit.p4switch_server.client import (
    IDS,
    P4INFO,
    Client,
    action,
    config,
    details,
    l2_entry,
    octets,
    update,
)

from p4switch.switch import Switch

L2 = p4r.TableEntry(table_id=IDS["I.l2"])


def codes(client: Client, *updates: p4r.Update) -> list[int]:
    """The code of each update of a batch that has at least one failure."""
    with pytest.raises(grpc.RpcError) as failure:
        client.write(*updates)
    assert failure.value.code() == grpc.StatusCode.UNKNOWN
    errors = details(failure.value)
    assert len(errors) == len(updates)
    assert all(e.space == "ALL-sswitch-p4org" for e in errors if e.canonical_code)
    return [e.canonical_code for e in errors]


def reason(client: Client, one: p4r.Update) -> tuple[int, str]:
    """Code and message of a batch of one."""
    with pytest.raises(grpc.RpcError) as failure:
        client.write(one)
    error = details(failure.value)[0]
    return error.canonical_code, error.message


def acl_entry(priority: int = 10) -> p4r.TableEntry:
    entry = p4r.TableEntry(table_id=IDS["I.acl"], priority=priority)
    mac = entry.match.add(field_id=1).ternary
    mac.value, mac.mask = octets(0x10), octets(0xF0)
    entry.match.add(field_id=2).optional.value = octets(0x800)
    ports = entry.match.add(field_id=3).range
    ports.low, ports.high = octets(1), octets(4)
    entry.action.action.CopyFrom(action("I.drop"))
    return entry


def balance_entry(*slots: tuple[int, int]) -> p4r.TableEntry:
    """Slots of (port, weight) for protocol 6."""
    entry = p4r.TableEntry(table_id=IDS["I.balance"])
    entry.match.add(field_id=1).exact.value = b"\x06"
    for port, weight in slots:
        slot = entry.action.action_profile_action_set.action_profile_actions.add(weight=weight)
        slot.action.CopyFrom(action("I.forward", port))
    return entry


def route_entry() -> p4r.TableEntry:
    entry = p4r.TableEntry(table_id=IDS["I.routes"])
    lpm = entry.match.add(field_id=1).lpm
    lpm.value, lpm.prefix_len = bytes([10, 0, 0, 0]), 8
    entry.action.action.CopyFrom(action("I.route", 0xAABBCCDDEEFF, 3))
    return entry


@pytest.mark.parametrize(
    "entry",
    [l2_entry(0x1234), acl_entry(), route_entry(), balance_entry((1, 70), (2, 30))],
    ids=["exact", "ternary optional range", "lpm", "one-shot"],
)
def test_an_entry_reads_back_as_it_was_written(client: Client, entry: p4r.TableEntry) -> None:
    entry.metadata = b"cookie"
    client.write(update("INSERT", entry))
    assert client.read_table(p4r.TableEntry(table_id=entry.table_id)) == [entry]
    key = p4r.TableEntry(table_id=entry.table_id, match=entry.match, priority=entry.priority)
    assert client.read_table(key) == [entry]
    everything = client.read_table(p4r.TableEntry())
    assert entry in everything
    client.write(update("DELETE", key))
    assert client.read_table(key) == []


def test_a_wildcard_key_field_is_left_out_when_read(client: Client) -> None:
    entry = p4r.TableEntry(table_id=IDS["I.acl"], priority=1)
    entry.action.action.CopyFrom(action("NoAction"))
    client.write(update("INSERT", entry))
    assert client.read_table(p4r.TableEntry(table_id=IDS["I.acl"])) == [entry]


def test_fields_and_parameters_may_come_in_any_order(client: Client) -> None:
    entry = acl_entry()
    shuffled = acl_entry()
    del shuffled.match[:]
    shuffled.match.extend(reversed(list(entry.match)))
    route = route_entry()
    params = list(route.action.action.params)
    del route.action.action.params[:]
    route.action.action.params.extend(reversed(params))
    client.write(update("INSERT", shuffled), update("INSERT", route))
    assert client.read_table(p4r.TableEntry(table_id=IDS["I.acl"])) == [entry]
    assert client.read_table(p4r.TableEntry(table_id=IDS["I.routes"])) == [route_entry()]


def test_a_bad_update_in_a_batch_does_not_stop_the_others(client: Client) -> None:
    client.write(update("INSERT", l2_entry(1)))
    too_wide = l2_entry(3)
    too_wide.action.action.params[0].value = b"\x02\x00"
    assert codes(
        client,
        update("INSERT", l2_entry(1)),
        update("INSERT", l2_entry(2)),
        update("INSERT", too_wide),
        update("DELETE", l2_entry(9)),
        update("MODIFY", l2_entry(1, port=8)),
    ) == [rpc_code.ALREADY_EXISTS, 0, rpc_code.INVALID_ARGUMENT, rpc_code.NOT_FOUND, 0]
    assert client.read_table(L2) == [l2_entry(1, port=8), l2_entry(2)]


def test_a_batch_too_large_for_details_still_says_what_failed_first(client: Client) -> None:
    updates = [update("DELETE", l2_entry(i)) for i in range(2000)]
    with pytest.raises(grpc.RpcError) as failure:
        client.write(*updates)
    assert failure.value.code() == grpc.StatusCode.UNKNOWN
    assert "2000 of 2000 updates failed, the first is update 0" in failure.value.details()


def test_other_atomicities_are_refused_and_nothing_is_applied(client: Client) -> None:
    for atomicity in (p4r.WriteRequest.ROLLBACK_ON_ERROR, p4r.WriteRequest.DATAPLANE_ATOMIC):
        with pytest.raises(grpc.RpcError) as failure:
            client.write(update("INSERT", l2_entry(1)), atomicity=atomicity)
        assert failure.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert client.read_table(L2) == []


def changed(entry: p4r.TableEntry, **fields: object) -> p4r.TableEntry:
    copy = p4r.TableEntry()
    copy.CopyFrom(entry)
    for name, value in fields.items():
        setattr(copy, name, value)
    return copy


def with_action(entry: p4r.TableEntry, name: str, *args: int) -> p4r.TableEntry:
    copy = changed(entry)
    copy.action.action.CopyFrom(action(name, *args))
    return copy


@pytest.mark.parametrize(
    ("bad", "code", "text"),
    [
        (changed(l2_entry(1), table_id=33554433), rpc_code.INVALID_ARGUMENT, "not a table"),
        (changed(l2_entry(1), priority=3), rpc_code.INVALID_ARGUMENT, "Non-zero priority"),
        (acl_entry(priority=0), rpc_code.INVALID_ARGUMENT, "Zero priority"),
        (with_action(l2_entry(1), "I.drop"), rpc_code.INVALID_ARGUMENT, "not an action of"),
        (with_action(l2_entry(1), "I.l2_miss"), rpc_code.PERMISSION_DENIED, "I.l2_miss"),
        (with_action(balance_entry(), "NoAction"), rpc_code.INVALID_ARGUMENT, "indirect table"),
        (balance_entry((1, 0)), rpc_code.INVALID_ARGUMENT, "weight 0"),
        (balance_entry((1, 300)), rpc_code.RESOURCE_EXHAUSTED, "300"),
        (changed(route_entry(), idle_timeout_ns=1), rpc_code.INVALID_ARGUMENT, "idle"),
        (p4r.TableEntry(table_id=IDS["I.l2"]), rpc_code.INVALID_ARGUMENT, "is exact and is miss"),
    ],
)
def test_a_malformed_entry_is_refused_and_the_answer_names_it(
    client: Client, bad: p4r.TableEntry, code: int, text: str
) -> None:
    got, message = reason(client, update("INSERT", bad))
    assert (got, text in message) == (code, True), message


def test_a_full_table_says_so(client: Client) -> None:
    entries = []
    for number in range(65):
        entry = acl_entry(priority=number + 1)
        entries.append(update("INSERT", entry))
    results = codes(client, *entries)
    assert results == [0] * 64 + [rpc_code.RESOURCE_EXHAUSTED]


def test_constant_entries_are_read_and_not_changed(client: Client) -> None:
    asked = p4r.TableEntry(table_id=IDS["I.fixed"])
    (entry,) = client.read_table(asked)
    assert entry.is_const
    assert entry.match[0].exact.value == b"\x88\xcc"
    changed_entry = changed(entry, is_const=False)
    code, message = reason(client, update("DELETE", changed_entry))
    assert code == rpc_code.PERMISSION_DENIED
    assert "I.fixed" in message


def test_the_default_entry_is_read_changed_and_reset(switch: Switch, client: Client) -> None:
    asked = p4r.TableEntry(table_id=IDS["I.l2"], is_default_action=True)
    (before,) = client.read_table(asked)
    assert before.action.action == action("I.l2_miss")
    new = changed(asked)
    new.action.action.CopyFrom(action("I.l2_forward", 4))
    client.write(update("MODIFY", new))
    packet = bytes(12) + b"\x12\x34" + bytes(46)
    assert switch.inject(1, packet) == [(4, packet)]
    assert client.read_table(asked) == [new]
    client.write(update("MODIFY", asked))
    assert client.read_table(asked) == [before]


@pytest.mark.parametrize(
    ("table", "name", "kind", "code"),
    [
        ("I.acl", "I.drop", "MODIFY", rpc_code.PERMISSION_DENIED),
        ("I.routes", "I.drop", "MODIFY", rpc_code.PERMISSION_DENIED),
        ("I.balance", "NoAction", "MODIFY", rpc_code.INVALID_ARGUMENT),
        ("I.l2", "NoAction", "MODIFY", rpc_code.INVALID_ARGUMENT),
        ("I.l2", "I.l2_miss", "INSERT", rpc_code.INVALID_ARGUMENT),
        ("I.l2", "I.l2_miss", "DELETE", rpc_code.INVALID_ARGUMENT),
    ],
)
def test_a_default_entry_that_may_not_be_is_refused(
    client: Client, table: str, name: str, kind: str, code: int
) -> None:
    entry = p4r.TableEntry(table_id=IDS[table], is_default_action=True)
    entry.action.action.CopyFrom(action(name))
    assert reason(client, update(kind, entry))[0] == code


def test_counter_data_comes_with_entries_only_when_asked_for(
    switch: Switch, client: Client
) -> None:
    client.write(update("INSERT", l2_entry(5)))
    packet = octets(5).rjust(6, b"\0") + bytes(6) + b"\x12\x34" + bytes(46)
    for _ in range(3):
        switch.inject(1, packet)
    asked = changed(L2)
    assert not client.read_table(asked)[0].HasField("counter_data")
    asked.counter_data.SetInParent()
    data = client.read_table(asked)[0].counter_data
    assert (data.packet_count, data.byte_count) == (3, 180)
    direct = p4r.Entity()
    direct.direct_counter_entry.table_entry.table_id = IDS["I.l2"]
    (one,) = client.read(direct)
    assert one.direct_counter_entry.data.packet_count == 3
    assert one.direct_counter_entry.table_entry.match == l2_entry(5).match
    # A MODIFY keeps the count, unless it sets one.
    client.write(update("MODIFY", l2_entry(5, port=9)))
    assert client.read_table(asked)[0].counter_data.packet_count == 3
    reset = l2_entry(5, port=9)
    reset.counter_data.packet_count = 0
    client.write(update("MODIFY", reset))
    assert client.read_table(asked)[0].counter_data.packet_count == 0
    one.direct_counter_entry.data.packet_count = 40
    client.write(update("MODIFY", one))
    assert client.read(direct)[0].direct_counter_entry.data.packet_count == 40


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


def multicast(number: int, *ports: int, as_bytes: bool = False) -> p4r.Entity:
    entity = p4r.Entity()
    message = entity.packet_replication_engine_entry.multicast_group_entry
    message.multicast_group_id = number
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
        (multicast(2, 1, 2, as_bytes=True), multicast(2, 7, as_bytes=True)),
        (clone(5, 3, 64), clone(5, 4)),
    ],
    ids=["multicast", "multicast with byte ports", "clone session"],
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


def test_reads_of_many_entries_come_in_several_messages(client: Client) -> None:
    client.write(*[update("INSERT", l2_entry(i)) for i in range(2500)])
    request = p4r.ReadRequest(device_id=1, entities=[p4r.Entity(table_entry=L2)])
    sizes = [len(r.entities) for r in client.stub.Read(request, timeout=10)]
    assert sizes == [1000, 1000, 500]


def test_reads_filter_by_priority_metadata_and_action(client: Client) -> None:
    low, high = acl_entry(priority=1), acl_entry(priority=2)
    high.metadata = b"x"
    high.action.action.CopyFrom(action("I.to_cpu", 7))
    client.write(update("INSERT", low), update("INSERT", high))
    table = IDS["I.acl"]
    assert client.read_table(p4r.TableEntry(table_id=table, priority=1)) == [low]
    assert client.read_table(p4r.TableEntry(table_id=table, metadata=b"x")) == [high]
    by_action = p4r.TableEntry(table_id=table)
    by_action.action.action.action_id = IDS["I.drop"]
    assert client.read_table(by_action) == [low]


def test_what_is_not_implemented_is_refused_by_name(client: Client) -> None:
    for entity in (
        p4r.Entity(value_set_entry=p4r.ValueSetEntry(value_set_id=1)),
        p4r.Entity(extern_entry=p4r.ExternEntry(extern_id=1)),
    ):
        code, message = reason(client, update("MODIFY", entity))
        assert code == rpc_code.UNIMPLEMENTED
        assert str(entity.WhichOneof("entity")) in message
    with pytest.raises(grpc.RpcError) as failure:
        client.read(p4r.Entity(value_set_entry=p4r.ValueSetEntry()))
    assert failure.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_every_table_of_the_program_can_be_read(client: Client) -> None:
    for table in P4INFO.tables:
        asked = p4r.TableEntry(table_id=table.preamble.id)
        expected = 1 if table.preamble.name == "I.fixed" else 0
        assert len(client.read_table(asked)) == expected


def test_a_client_without_a_session_may_write_while_there_is_none(switch: Switch) -> None:
    with Client(switch.grpc_address, None) as tool:
        tool.push()
        tool.write(update("INSERT", l2_entry(1)))
        assert tool.read_table(L2) == [l2_entry(1)]
        tool.device_id = 2
        with pytest.raises(grpc.RpcError) as failure:
            tool.write(update("INSERT", l2_entry(2)))
        assert failure.value.code() == grpc.StatusCode.NOT_FOUND
