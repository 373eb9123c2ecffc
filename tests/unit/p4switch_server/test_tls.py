"""TLS: clients must show a certificate of the right authority when the switch requires one."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from unit.p4switch_server.client import Client

from harness.authority import Authority
from p4switch.errors import InvalidArgument
from p4switch.server.tls import TlsFiles
from p4switch.switch import Switch


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"), "fabric")


def switch_with(authority: Authority, *, require_client_auth: bool) -> Switch:
    cert, key = authority.issue("switch")
    files = TlsFiles(cert, key, authority.cert, require_client_auth)
    return Switch(device_id=1, grpc_address="127.0.0.1:0", tls=files)


def credentials(
    authority: Authority, identity: tuple[Path, Path] | None = None
) -> grpc.ChannelCredentials:
    cert, key = (p.read_bytes() for p in identity) if identity else (None, None)
    return grpc.ssl_channel_credentials(authority.cert.read_bytes(), key, cert)


def fails_to_connect(address: str, given: grpc.ChannelCredentials | None) -> bool:
    with Client(address, 1, credentials=given) as client:
        try:
            client.notice()
        except grpc.RpcError as error:
            return bool(error.code() == grpc.StatusCode.UNAVAILABLE)
    return False


def test_a_client_with_a_certificate_of_the_authority_gets_in(authority: Authority) -> None:
    with switch_with(authority, require_client_auth=True) as switch:
        mine = credentials(authority, authority.issue("controller"))
        with Client(switch.grpc_address, 1, credentials=mine) as client:
            assert client.notice() == (0, 1)
            client.push()


def test_clients_without_a_certificate_of_the_authority_stay_out(
    authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger").issue("controller")
    with switch_with(authority, require_client_auth=True) as switch:
        assert fails_to_connect(switch.grpc_address, credentials(authority))
        assert fails_to_connect(switch.grpc_address, credentials(authority, stranger))
        assert fails_to_connect(switch.grpc_address, None)


def test_without_client_authentication_the_servers_certificate_is_enough(
    authority: Authority,
) -> None:
    with switch_with(authority, require_client_auth=False) as switch:
        assert not fails_to_connect(switch.grpc_address, credentials(authority))
        assert fails_to_connect(switch.grpc_address, None)


def test_files_that_cannot_be_used_are_named(authority: Authority, tmp_path: Path) -> None:
    cert, key = authority.issue("other")
    with pytest.raises(InvalidArgument, match=r"--grpc-server-key .*gone.pem.*No such file"):
        TlsFiles(cert, tmp_path / "gone.pem").credentials()
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("hello")
    with pytest.raises(InvalidArgument, match="not a PEM file"):
        TlsFiles(nonsense, key).credentials()
    with pytest.raises(InvalidArgument, match="--grpc-server-cacert"):
        TlsFiles(cert, key, None, True).credentials()
