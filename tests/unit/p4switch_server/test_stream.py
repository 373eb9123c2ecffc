"""Packet-ins, packet-outs, digests and idle notices on the session."""

from __future__ import annotations

import time

import pytest
from finsy.proto import p4r, rpc_code
from unit.p4switch_server.client import CPU_PORT, IDS, Client, action, l2_entry, octets, update

from p4switch.switch import Switch


def frame(dst: int = 0xD, src: int = 0x5) -> bytes:
    return dst.to_bytes(6, "big") + src.to_bytes(6, "big") + b"\x12\x34" + bytes(46)


def configure_digest(
    client: Client, *, timeout_ms: int = 0, size: int = 1, ack_ms: int = 0, kind: str = "INSERT"
) -> None:
    entity = p4r.Entity()
    entity.digest_entry.digest_id = IDS["learn_t"]
    config = entity.digest_entry.config
    config.max_timeout_ns = timeout_ms * 1_000_000
    config.max_list_size = size
    config.ack_timeout_ns = ack_ms * 1_000_000
    client.write(update(kind, entity))


def sources(message: p4r.StreamMessageResponse) -> list[int]:
    assert message.WhichOneof("update") == "digest", message
    return [int.from_bytes(d.struct.members[0].bitstring, "big") for d in message.digest.data]


def test_a_packet_to_the_cpu_arrives_with_its_metadata(switch: Switch, client: Client) -> None:
    entry = l2_entry(0xD)
    entry.action.action.CopyFrom(action("I.to_cpu", 300))
    client.write(update("INSERT", entry))
    outputs = switch.inject(2, frame())
    assert [port for port, _ in outputs] == [CPU_PORT]
    packet = client.receive().packet
    assert packet.payload == frame()
    values = {m.metadata_id: int.from_bytes(m.value, "big") for m in packet.metadata}
    assert values == {1: 2, 2: 0, 3: 300}


def test_only_the_primary_gets_packet_ins(switch: Switch, client: Client) -> None:
    entry = l2_entry(0xD)
    entry.action.action.CopyFrom(action("I.to_cpu", 1))
    client.write(update("INSERT", entry))
    with Client(switch.grpc_address, 3) as backup:
        assert backup.notice()[0] == rpc_code.ALREADY_EXISTS
        switch.inject(2, frame())
        assert client.receive().WhichOneof("update") == "packet"
        backup.bid(4)
        # The very next message of the backup is the answer to its bid: no packet came before it.
        assert backup.notice()[0] == rpc_code.ALREADY_EXISTS


def packet_out(*metadata: tuple[int, int], payload: bytes = b"") -> p4r.StreamMessageRequest:
    request = p4r.StreamMessageRequest()
    request.packet.payload = payload or frame()
    for number, value in metadata:
        request.packet.metadata.add(metadata_id=number, value=octets(value))
    return request


def test_a_packet_out_runs_through_the_program(switch: Switch, client: Client) -> None:
    # The program sends it to port 510, the CPU: it comes back without a packet_in header.
    entry = l2_entry(0xD)
    client.write(update("INSERT", entry))
    client.send(packet_out((1, CPU_PORT), (2, 0), payload=b"\x00" * 4 + frame()))
    packet = client.receive().packet
    assert packet.payload == frame()


def test_malformed_packet_outs_are_answered_and_dropped(client: Client) -> None:
    for bad, text in (
        (packet_out((9, 1)), "unknown metadata id 9"),
        (packet_out((1, 512)), "does not fit within 9 bits"),
    ):
        client.send(bad)
        error = client.receive().error
        assert error.canonical_code == rpc_code.INVALID_ARGUMENT
        assert text in error.message
        assert error.packet_out.packet_out == bad.packet


def test_a_packet_out_of_a_backup_is_answered_and_dropped(switch: Switch, client: Client) -> None:
    with Client(switch.grpc_address, 3) as backup:
        assert backup.notice()[0] == rpc_code.ALREADY_EXISTS
        backup.send(packet_out((1, 4)))
        assert backup.receive().error.canonical_code == rpc_code.PERMISSION_DENIED


def test_a_packet_out_without_a_cpu_port_names_the_option() -> None:
    with (
        Switch(device_id=1, grpc_address="127.0.0.1:0") as switch,
        Client(switch.grpc_address, 1) as client,
    ):
        assert client.notice()[0] == 0
        client.push()
        client.send(packet_out((1, 4)))
        assert "--cpu-port" in client.receive().error.message


def test_a_digest_arrives_at_once_when_no_delay_is_configured(
    switch: Switch, client: Client
) -> None:
    switch.inject(4, frame(src=0x1))  # not configured yet: not reported
    configure_digest(client)
    switch.inject(4, frame(src=0x2))
    message = client.receive()
    assert sources(message) == [0x2]
    assert message.digest.digest_id == IDS["learn_t"]
    members = message.digest.data[0].struct.members
    assert [m.bitstring for m in members] == [b"\x02", b"\x04"]


def test_a_list_goes_out_when_it_is_full(switch: Switch, client: Client) -> None:
    configure_digest(client, timeout_ms=60_000, size=3)
    for src in range(1, 8):
        switch.inject(4, frame(src=src))
    first, second = client.receive(), client.receive()
    assert sources(first) == [1, 2, 3]
    assert sources(second) == [4, 5, 6]
    assert (first.digest.list_id, second.digest.list_id) == (1, 2)


def test_a_list_goes_out_when_its_oldest_sample_has_waited(switch: Switch, client: Client) -> None:
    configure_digest(client, timeout_ms=50, size=100)
    switch.inject(4, frame(src=1))
    switch.inject(4, frame(src=2))
    assert sources(client.receive()) == [1, 2]


def test_a_sample_is_reported_again_only_after_its_list_was_acknowledged(
    switch: Switch, client: Client
) -> None:
    configure_digest(client, ack_ms=60_000)
    switch.inject(4, frame(src=1))
    first = client.receive()
    assert sources(first) == [1]
    switch.inject(4, frame(src=1))
    switch.inject(4, frame(src=2))
    assert sources(client.receive()) == [2]
    ack = p4r.StreamMessageRequest()
    ack.digest_ack.digest_id = first.digest.digest_id
    ack.digest_ack.list_id = first.digest.list_id
    client.send(ack)
    bad = packet_out((9, 1))
    client.send(bad)  # its answer says that the acknowledgement has been handled
    assert client.receive().WhichOneof("update") == "error"
    switch.inject(4, frame(src=1))
    assert sources(client.receive()) == [1]


def test_a_sample_is_reported_again_when_the_acknowledgement_never_comes(
    switch: Switch, client: Client
) -> None:
    configure_digest(client, ack_ms=30)
    switch.inject(4, frame(src=1))
    assert sources(client.receive()) == [1]
    deadline_s = time.monotonic() + 5
    while time.monotonic() < deadline_s and switch.device.forwarding().digests.unacknowledged():
        time.sleep(0.01)
    switch.inject(4, frame(src=1))
    assert sources(client.receive()) == [1]


def test_digest_configurations_read_back_and_can_be_removed(switch: Switch, client: Client) -> None:
    configure_digest(client, timeout_ms=1, size=2, ack_ms=3)
    asked = p4r.Entity(digest_entry=p4r.DigestEntry())
    (entry,) = client.read(asked)
    assert entry.digest_entry.digest_id == IDS["learn_t"]
    assert entry.digest_entry.config.max_list_size == 2
    configure_digest(client, size=5, kind="MODIFY")
    assert client.read(asked)[0].digest_entry.config.max_list_size == 5
    configure_digest(client, kind="DELETE")
    assert client.read(asked) == []


@pytest.mark.parametrize("hit", [False, True])
def test_an_entry_without_packets_is_reported_once_when_its_time_is_up(
    switch: Switch, client: Client, hit: bool
) -> None:
    entry = l2_entry(0xD)
    entry.idle_timeout_ns = 100_000_000
    entry.metadata = b"m"
    client.write(update("INSERT", entry))
    if hit:
        switch.inject(1, frame())
    message = client.receive()
    assert message.WhichOneof("update") == "idle_timeout_notification"
    (idle,) = message.idle_timeout_notification.table_entry
    assert idle.match == entry.match
    assert idle.idle_timeout_ns == entry.idle_timeout_ns
    assert idle.metadata == b"m"
    asked = p4r.TableEntry(table_id=entry.table_id)
    asked.time_since_last_hit.SetInParent()
    elapsed_ns = client.read_table(asked)[0].time_since_last_hit.elapsed_ns
    assert elapsed_ns >= entry.idle_timeout_ns


def test_a_slow_reader_loses_packet_ins_but_not_its_session(
    switch: Switch, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p4switch.server.stream.MAX_QUEUED", 0)
    entry = l2_entry(0xD)
    entry.action.action.CopyFrom(action("I.to_cpu", 1))
    client.write(update("INSERT", entry))
    switch.inject(2, frame())
    client.bid(12)
    assert client.notice() == (0, 12)
