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
    balance_entry,
    changed,
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

L2 = p4r.TableEntry(table_id=IDS["I.l2"])


def acl_entry(priority: int = 10) -> p4r.TableEntry:
    entry = p4r.TableEntry(table_id=IDS["I.acl"], priority=priority)
    mac = entry.match.add(field_id=1).ternary
    mac.value, mac.mask = octets(0x10), octets(0xF0)
    entry.match.add(field_id=2).optional.value = octets(0x800)
    ports = entry.match.add(field_id=3).range
    ports.low, ports.high = octets(1), octets(4)
    entry.action.action.CopyFrom(action("I.drop"))
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


def test_initial_entries_that_are_not_constant_are_changed_like_any_other(
    switch: Switch, client: Client
) -> None:
    program = config(cookie=8)
    (table,) = (t for t in program.p4info.tables if t.preamble.name == "I.fixed")
    table.is_const_table, table.has_initial_entries, table.size = False, True, 2
    client.push(program)
    asked = p4r.TableEntry(table_id=IDS["I.fixed"])
    (initial,) = client.read_table(asked)
    assert not initial.is_const
    moved = changed(initial)
    moved.action.action.CopyFrom(action("I.forward", 3))
    client.write(update("MODIFY", moved))
    other = changed(moved)
    other.match[0].exact.value = b"\x12\x34"
    client.write(update("INSERT", other))
    assert client.read_table(asked) == [moved, other]
    client.write(update("DELETE", initial))
    program.cookie.cookie, table.size = 9, 3
    client.push(program, "RECONCILE_AND_COMMIT")
    assert client.read_table(asked) == [other]


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
