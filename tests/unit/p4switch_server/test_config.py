"""Pushing programs: what is accepted, what is kept, what is refused and why."""

from __future__ import annotations

import json

import grpc
import pytest
from finsy.proto import p4r
from unit.p4switch_server.client import (
    DEVICE_CONFIG,
    IDS,
    P4INFO,
    Client,
    action,
    config,
    l2_entry,
    update,
)

from p4switch.switch import Switch

L2 = p4r.TableEntry(table_id=IDS["I.l2"])


def get(client: Client, kind: str) -> p4r.ForwardingPipelineConfig:
    request = p4r.GetForwardingPipelineConfigRequest(device_id=1)
    request.response_type = p4r.GetForwardingPipelineConfigRequest.ResponseType.Value(kind)
    return client.stub.GetForwardingPipelineConfig(request, timeout=5).config


def refused(client: Client, *args: object, **kwargs: object) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as failure:
        client.push(*args, **kwargs)  # type: ignore[arg-type]
    return failure.value


def test_before_the_first_program_calls_say_that_there_is_none(switch: Switch) -> None:
    with Client(switch.grpc_address, 1) as client:
        assert client.notice()[0] == 0
        for call in (
            lambda: client.write(update("INSERT", l2_entry(1))),
            lambda: client.read_table(L2),
            lambda: get(client, "ALL"),
        ):
            with pytest.raises(grpc.RpcError) as failure:
                call()
            assert failure.value.code() == grpc.StatusCode.FAILED_PRECONDITION
            assert "No forwarding pipeline config set" in failure.value.details()


def test_the_program_reads_back_in_the_parts_that_were_asked_for(client: Client) -> None:
    everything = get(client, "ALL")
    assert everything == config()
    cookie = get(client, "COOKIE_ONLY")
    assert cookie.cookie.cookie == 7
    assert not cookie.HasField("p4info")
    assert not cookie.p4_device_config
    info = get(client, "P4INFO_AND_COOKIE")
    assert info.p4info == P4INFO
    assert not info.p4_device_config
    device = get(client, "DEVICE_CONFIG_AND_COOKIE")
    assert device.p4_device_config == DEVICE_CONFIG
    assert not device.HasField("p4info")


def test_verify_changes_nothing(client: Client) -> None:
    client.write(update("INSERT", l2_entry(1)))
    client.push(config(cookie=8), "VERIFY")
    assert get(client, "COOKIE_ONLY").cookie.cookie == 7
    assert len(client.read_table(L2)) == 1


def test_commit_clears_entries(client: Client) -> None:
    client.write(update("INSERT", l2_entry(1)))
    client.push(config(cookie=8))
    assert get(client, "COOKIE_ONLY").cookie.cookie == 8
    assert client.read_table(L2) == []


def test_a_saved_program_takes_writes_and_runs_packets_only_after_commit(
    switch: Switch, client: Client
) -> None:
    mac = 0xAA
    packet = mac.to_bytes(6, "big") + bytes(6) + b"\x12\x34" + bytes(46)
    client.push(how="VERIFY_AND_SAVE")
    client.write(update("INSERT", l2_entry(mac, port=4)))
    assert switch.inject(1, packet) == [(0, packet)]  # a miss: nothing sets the egress port
    client.push(how="COMMIT", has_config=False)
    assert switch.inject(1, packet) == [(4, packet)]


def test_commit_without_a_saved_program_says_so(client: Client) -> None:
    error = refused(client, how="COMMIT", has_config=False)
    assert error.code() == grpc.StatusCode.NOT_FOUND
    error = refused(client, how="COMMIT")
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_reconcile_keeps_the_forwarding_state(switch: Switch, client: Client) -> None:
    entry = l2_entry(0xBB, port=6)
    entry.metadata = b"mine"
    default = p4r.TableEntry(table_id=IDS["I.routes"], is_default_action=True)
    default.action.action.CopyFrom(action("NoAction"))
    client.write(update("INSERT", entry), update("MODIFY", default))
    packet = bytes.fromhex("0000000000bb") + bytes(6) + b"\x12\x34" + bytes(46)
    assert switch.inject(2, packet) == [(6, packet)]
    document = json.loads(DEVICE_CONFIG)
    document["program"] = "another"
    changed = config(cookie=9)
    changed.p4_device_config = json.dumps(document).encode()
    client.push(changed, "RECONCILE_AND_COMMIT")
    assert get(client, "COOKIE_ONLY").cookie.cookie == 9
    assert client.read_table(L2) == [entry]
    assert switch.inject(2, packet) == [(6, packet)]
    counter = p4r.Entity()
    counter.counter_entry.counter_id = IDS["I.port_counter"]
    counter.counter_entry.index.index = 2
    assert client.read(counter)[0].counter_entry.data.packet_count == 2


def test_reconcile_with_the_same_program_disturbs_nothing(switch: Switch, client: Client) -> None:
    client.write(update("INSERT", l2_entry(1)))
    before = switch.pipeline
    client.push(config(cookie=12), "RECONCILE_AND_COMMIT")
    assert switch.pipeline is before
    assert get(client, "COOKIE_ONLY").cookie.cookie == 12


def without_table(name: str) -> p4r.ForwardingPipelineConfig:
    """The test program after its author renamed a table."""
    message = config(cookie=3)
    text = DEVICE_CONFIG.decode().replace(f'"{name}"', f'"{name}_renamed"')
    message.p4_device_config = text.encode()
    for table in message.p4info.tables:
        if table.preamble.name == name:
            table.preamble.name = f"{name}_renamed"
    return message


def test_reconcile_refuses_to_lose_entries_and_keeps_the_old_program(client: Client) -> None:
    client.write(update("INSERT", l2_entry(1)))
    error = refused(client, without_table("I.l2"), "RECONCILE_AND_COMMIT")
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "table I.l2 has 1 entries and is gone" in error.details()
    assert get(client, "COOKIE_ONLY").cookie.cookie == 7
    assert len(client.read_table(L2)) == 1


def test_reconcile_drops_a_table_that_is_empty(client: Client) -> None:
    client.push(without_table("I.l2"), "RECONCILE_AND_COMMIT")
    assert get(client, "COOKIE_ONLY").cookie.cookie == 3


def broken(what: str) -> tuple[p4r.ForwardingPipelineConfig, str]:
    """A configuration that does not fit, and what the answer must name."""
    message = config(cookie=1)
    document = json.loads(DEVICE_CONFIG)
    if what == "table":
        message.p4info.tables.add().preamble.name = "I.ghost"
        return message, "table I.ghost"
    if what == "width":
        message.p4info.tables[0].match_fields[0].bitwidth = 47
        return message, "47 bits in the P4Info and 48 in the program"
    if what == "params":
        names = [a.preamble.name for a in message.p4info.actions]
        message.p4info.actions[names.index("I.l2_forward")].params.add(id=2, bitwidth=9)
        return message, "I.l2_forward has 2 parameters in the P4Info and 1"
    if what == "counter":
        message.p4info.counters[0].preamble.name = "I.nothing"
        return message, "counter I.nothing"
    if what == "value set":
        message.p4info.value_sets.add().preamble.name = "ports"
        return message, "value set ports"
    if what == "json":
        message.p4_device_config = b"{"
        return message, "not BMv2 JSON"
    if what == "program value set":
        document["parse_vsets"] = [{"name": "trusted", "id": 0, "compressed_bitwidth": 8}]
        message.p4_device_config = json.dumps(document).encode()
        return message, "trusted"
    document["header_types"] = []
    message.p4_device_config = json.dumps(document).encode()
    return message, "incomplete"


@pytest.mark.parametrize(
    "what",
    [
        "table",
        "width",
        "params",
        "counter",
        "value set",
        "json",
        "program value set",
        "truncated",
    ],
)
def test_a_program_that_does_not_fit_is_refused_by_name_and_the_old_one_stays(
    switch: Switch, client: Client, what: str
) -> None:
    client.write(update("INSERT", l2_entry(1)))
    before = switch.pipeline
    message, named = broken(what)
    for how in ("VERIFY", "VERIFY_AND_SAVE", "VERIFY_AND_COMMIT", "RECONCILE_AND_COMMIT"):
        error = refused(client, message, how)
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert named in error.details()
    assert switch.pipeline is before
    assert len(client.read_table(L2)) == 1


def test_a_request_without_an_action_or_a_config_is_refused(client: Client) -> None:
    assert refused(client, how="UNSPECIFIED").code() == grpc.StatusCode.INVALID_ARGUMENT
    error = refused(client, has_config=False)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "config is missing" in error.details()


def test_capabilities_name_the_version(client: Client) -> None:
    answer = client.stub.Capabilities(p4r.CapabilitiesRequest(device_id=1), timeout=5)
    assert answer.p4runtime_api_version == "1.3.0"
