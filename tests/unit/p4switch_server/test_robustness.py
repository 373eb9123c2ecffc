"""Whatever a client sends, the switch answers each update with a reason and goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from finsy.proto import p4r, rpc_code
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.p4switch_server.client import CPU_PORT, IDS, action, config, l2_entry

from p4switch.server.device import Forwarding
from p4switch.switch import Switch

IDS_AND_OTHERS = st.one_of(
    st.sampled_from(sorted(IDS.values())), st.integers(0, 10), st.integers(0, (1 << 32) - 1)
)
NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.CPPTYPE_UINT32: IDS_AND_OTHERS,
    FieldDescriptor.CPPTYPE_UINT64: st.integers(0, (1 << 64) - 1),
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
}


def seeds() -> list[p4r.Entity]:
    """One valid entity of each kind, to be mutated."""
    result = [p4r.Entity(table_entry=l2_entry(5))]
    one_shot = p4r.Entity()
    entry = one_shot.table_entry
    entry.table_id = IDS["I.balance"]
    entry.match.add(field_id=1).exact.value = b"\x06"
    for port in (1, 2):
        slot = entry.action.action_profile_action_set.action_profile_actions.add(weight=2)
        slot.action.CopyFrom(action("I.forward", port))
    acl = p4r.Entity()
    acl.table_entry.table_id, acl.table_entry.priority = IDS["I.acl"], 3
    acl.table_entry.match.add(field_id=2).optional.value = b"\x01"
    ports = acl.table_entry.match.add(field_id=3).range
    ports.low, ports.high = b"\x01", b"\x02"
    acl.table_entry.action.action.CopyFrom(action("I.drop"))
    route = p4r.Entity()
    route.table_entry.table_id = IDS["I.routes"]
    lpm = route.table_entry.match.add(field_id=1).lpm
    lpm.value, lpm.prefix_len = b"\x0a\x00\x00\x00", 8
    route.table_entry.action.action.CopyFrom(action("I.route", 1, 2))
    route.table_entry.meter_config.cir = 1
    member, group, counter, meter, register, digest, multicast, clone = (
        p4r.Entity() for _ in range(8)
    )
    member.action_profile_member.action_profile_id = IDS["I.balancer"]
    member.action_profile_member.member_id = 1
    member.action_profile_member.action.CopyFrom(action("I.forward", 1))
    group.action_profile_group.action_profile_id = IDS["I.balancer"]
    group.action_profile_group.members.add(member_id=1, weight=1)
    counter.counter_entry.counter_id = IDS["I.port_counter"]
    counter.counter_entry.index.index = 1
    counter.counter_entry.data.packet_count = 1
    meter.meter_entry.meter_id = IDS["I.port_meter"]
    meter.meter_entry.index.index = 1
    meter.meter_entry.config.cir = 5
    register.register_entry.register_id = IDS["I.last_src"]
    register.register_entry.index.index = 1
    register.register_entry.data.bitstring = b"\x05"
    digest.digest_entry.digest_id = IDS["learn_t"]
    digest.digest_entry.config.max_list_size = 1
    groups = multicast.packet_replication_engine_entry.multicast_group_entry
    groups.multicast_group_id = 1
    groups.replicas.add(egress_port=1, instance=1)
    sessions = clone.packet_replication_engine_entry.clone_session_entry
    sessions.session_id = 5
    sessions.replicas.add(port=b"\x01", instance=1)
    direct = p4r.Entity()
    direct.direct_counter_entry.table_entry.CopyFrom(l2_entry(5))
    direct.direct_counter_entry.data.packet_count = 3
    return [
        *(*result, one_shot, acl, route, member, group, counter, meter, register, digest),
        *(multicast, clone, direct, p4r.Entity()),
    ]


SEEDS = seeds()


def parts(message: Message) -> Iterator[Message]:
    """The message and every message in it."""
    yield message
    for field, value in message.ListFields():
        if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            for item in value if field.is_repeated else [value]:
                yield from parts(item)


def mutate(draw: st.DrawFn, entity: p4r.Entity) -> None:
    """Change, add or clear one field somewhere in the entity."""
    messages = list(parts(entity))
    message = messages[draw(st.integers(0, len(messages) - 1))]
    fields = [f for f in message.DESCRIPTOR.fields if f.full_name != "p4.v1.FieldMatch.other"]
    if not fields:
        return
    field = fields[draw(st.integers(0, len(fields) - 1))]
    if draw(st.booleans()) and field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        message.ClearField(field.name)
    elif field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        value = getattr(message, field.name)
        if field.is_repeated:
            value.add()
        else:
            value.SetInParent()
    elif field.cpp_type in NUMBERS and not field.is_repeated:
        setattr(message, field.name, draw(NUMBERS[field.cpp_type]))
    elif field.type == FieldDescriptor.TYPE_BYTES:
        setattr(message, field.name, draw(st.binary(max_size=10)))


@st.composite
def batches(draw: st.DrawFn) -> list[p4r.Update]:
    updates = []
    for _ in range(draw(st.integers(1, 6))):
        entity = p4r.Entity()
        entity.CopyFrom(draw(st.sampled_from(SEEDS)))
        for _ in range(draw(st.integers(0, 3))):
            mutate(draw, entity)
        updates.append(p4r.Update(type=draw(st.integers(0, 3)), entity=entity))
    return updates


@pytest.fixture(scope="module")
def make_forwarding() -> Iterator[Callable[[], Forwarding]]:
    switch = Switch(device_id=1, grpc_address="127.0.0.1:0", cpu_port=CPU_PORT)
    yield lambda: switch.device.make_forwarding(config())
    switch.stop()


@pytest.fixture(scope="module")
def forwarding(make_forwarding: Callable[[], Forwarding]) -> Forwarding:
    """One running configuration that all examples share, as one switch would."""
    return make_forwarding()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches())
def test_mutated_updates_get_a_reason_and_break_nothing(
    forwarding: Forwarding, updates: list[p4r.Update]
) -> None:
    results = forwarding.writer.apply(updates)
    assert len(results) == len(updates)
    for result in results:
        assert result is None or result.canonical_code not in (rpc_code.OK, rpc_code.INTERNAL)
        assert result is None or result.message
    # Whatever was accepted reads back, and would be accepted by an empty switch in turn.
    for seed in SEEDS[:-1]:
        asked = p4r.Entity()
        getattr(asked, str(seed.WhichOneof("entity"))).SetInParent()
        if asked.HasField("packet_replication_engine_entry"):
            asked.packet_replication_engine_entry.multicast_group_entry.SetInParent()
        sum(1 for _ in forwarding.reader.entities(asked))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(batches(), max_size=4))
def test_what_reads_back_can_be_written_to_an_empty_switch(
    make_forwarding: Callable[[], Forwarding], history: list[list[p4r.Update]]
) -> None:
    first, second = make_forwarding(), make_forwarding()
    for updates in history:
        first.writer.apply(updates)
    asked = p4r.Entity(table_entry=p4r.TableEntry())
    members = p4r.Entity(action_profile_member=p4r.ActionProfileMember())
    groups = p4r.Entity(action_profile_group=p4r.ActionProfileGroup())
    for kind in (members, groups, asked):
        entities = [
            e
            for e in first.reader.entities(kind)
            if not (e.HasField("table_entry") and e.table_entry.is_const)
        ]
        inserts = [p4r.Update(type=p4r.Update.INSERT, entity=e) for e in entities]
        assert second.writer.apply(inserts) == [None] * len(inserts)
        again = second.reader.entities(kind)
        assert entities == [
            e for e in again if not (e.HasField("table_entry") and e.table_entry.is_const)
        ]
