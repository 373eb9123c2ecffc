"""Several controllers on one switch: who writes, and what the others are told."""

from __future__ import annotations

import grpc
import pytest
from finsy.proto import U128, p4r, rpc_code
from unit.p4switch_server.client import Client, l2_entry, update

from p4switch.switch import Switch


def stream_code(client: Client) -> grpc.StatusCode:
    """How the switch ended the session."""
    with pytest.raises(grpc.RpcError) as failure:
        client.receive()
    code: grpc.StatusCode = failure.value.code()
    return code


def test_the_highest_election_id_is_primary_and_the_other_is_told_so(switch: Switch) -> None:
    with Client(switch.grpc_address, 5) as first, Client(switch.grpc_address, None) as second:
        assert first.notice() == (rpc_code.OK, 5)
        second.election_id = 3
        second.open()
        assert second.notice() == (rpc_code.ALREADY_EXISTS, 5)
        second.bid(9)
        assert first.notice() == (rpc_code.ALREADY_EXISTS, 9)
        assert second.notice() == (rpc_code.OK, 9)


def test_when_the_primary_goes_the_backup_hears_not_found_and_can_take_over(
    switch: Switch,
) -> None:
    with Client(switch.grpc_address, 5) as first:
        assert first.notice() == (rpc_code.OK, 5)
        with Client(switch.grpc_address, 3) as second:
            assert second.notice() == (rpc_code.ALREADY_EXISTS, 5)
            first.close()
            assert second.notice() == (rpc_code.NOT_FOUND, 5)
            second.bid(5)
            assert second.notice() == (rpc_code.OK, 5)


def test_a_primary_that_bids_lower_steps_down(switch: Switch) -> None:
    with Client(switch.grpc_address, 5) as first:
        assert first.notice() == (rpc_code.OK, 5)
        first.bid(4)
        assert first.notice() == (rpc_code.NOT_FOUND, 5)


def test_a_client_without_an_election_id_never_becomes_primary(switch: Switch) -> None:
    with Client(switch.grpc_address, None) as watcher:
        watcher.open()
        assert watcher.notice() == (rpc_code.NOT_FOUND, 0)


def test_an_election_id_in_use_ends_the_session(switch: Switch) -> None:
    with Client(switch.grpc_address, 5) as first:
        assert first.notice() == (rpc_code.OK, 5)
        with Client(switch.grpc_address, 5) as second:
            assert stream_code(second) == grpc.StatusCode.INVALID_ARGUMENT


def test_another_device_id_ends_the_session(switch: Switch) -> None:
    with Client(switch.grpc_address, 5, device_id=2) as stranger:
        assert stream_code(stranger) == grpc.StatusCode.NOT_FOUND


def test_a_live_client_cannot_change_its_device(switch: Switch) -> None:
    with Client(switch.grpc_address, 5) as client:
        assert client.notice() == (rpc_code.OK, 5)
        client.bid(5, device_id=2)
        assert stream_code(client) == grpc.StatusCode.FAILED_PRECONDITION


def test_roles_are_refused_by_name(switch: Switch) -> None:
    with Client(switch.grpc_address, None) as client:
        client.open()
        assert client.notice() == (rpc_code.NOT_FOUND, 0)
        client.bid(5, role="operator")
        with pytest.raises(grpc.RpcError) as failure:
            client.receive()
        assert failure.value.code() == grpc.StatusCode.UNIMPLEMENTED
        assert "'operator'" in failure.value.details()


def test_only_the_primary_writes_and_everyone_reads(switch: Switch, client: Client) -> None:
    client.write(update("INSERT", l2_entry(1)))
    with Client(switch.grpc_address, 2) as backup:
        assert backup.notice() == (rpc_code.ALREADY_EXISTS, 10)
        for attempt in (
            lambda: backup.write(update("INSERT", l2_entry(2))),
            lambda: backup.push(),
        ):
            with pytest.raises(grpc.RpcError) as failure:
                attempt()
            assert failure.value.code() == grpc.StatusCode.PERMISSION_DENIED
        wanted = p4r.TableEntry(table_id=l2_entry(1).table_id)
        assert len(backup.read_table(wanted)) == 1


def test_writes_of_a_former_primary_are_refused(switch: Switch, client: Client) -> None:
    with Client(switch.grpc_address, 11) as rival:
        assert rival.notice() == (rpc_code.OK, 11)
        assert client.notice() == (rpc_code.ALREADY_EXISTS, 11)
        with pytest.raises(grpc.RpcError) as failure:
            client.write(update("INSERT", l2_entry(2)))
        assert failure.value.code() == grpc.StatusCode.PERMISSION_DENIED
        rival.write(update("INSERT", l2_entry(2)))


def test_the_seventeenth_client_is_refused(switch: Switch) -> None:
    clients = [Client(switch.grpc_address, i + 1) for i in range(16)]
    try:
        for number, client in enumerate(clients, 1):
            client.open()
            assert client.notice() == (rpc_code.OK, number)
        with Client(switch.grpc_address, 99) as last:
            assert stream_code(last) == grpc.StatusCode.RESOURCE_EXHAUSTED
    finally:
        for client in clients:
            client.close()


def test_a_stream_message_without_content_is_answered_not_fatal(client: Client) -> None:
    client.send(p4r.StreamMessageRequest())
    answer = client.receive()
    assert answer.error.canonical_code == rpc_code.INVALID_ARGUMENT
    client.write(update("INSERT", l2_entry(1)))


def test_an_election_id_of_128_bits_is_compared_as_a_whole(switch: Switch) -> None:
    with Client(switch.grpc_address, 1 << 64) as high:
        assert high.notice() == (rpc_code.OK, 1 << 64)
        with Client(switch.grpc_address, (1 << 64) - 1) as low:
            code, primary = low.notice()
            assert code == rpc_code.ALREADY_EXISTS
            assert U128.encode(primary).high == 1
