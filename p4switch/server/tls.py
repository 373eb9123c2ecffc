"""Server credentials from PEM files, named as simple_switch_grpc names them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import grpc

from p4switch.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """cacert verifies clients; with require_client_auth those without a certificate are refused."""

    cert: Path
    key: Path
    cacert: Path | None = None
    require_client_auth: bool = False

    def credentials(self) -> grpc.ServerCredentials:
        """InvalidArgument names the file that cannot be read, or the option that is missing."""
        if self.require_client_auth and self.cacert is None:
            raise InvalidArgument(
                "--grpc-server-with-client-auth needs --grpc-server-cacert: the certificate "
                "authority that signed the clients' certificates"
            )
        return grpc.ssl_server_credentials(
            [(_read(self.key, "--grpc-server-key"), _read(self.cert, "--grpc-server-cert"))],
            root_certificates=(
                _read(self.cacert, "--grpc-server-cacert") if self.cacert is not None else None
            ),
            require_client_auth=self.require_client_auth,
        )


def _read(path: Path, option: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidArgument(f"{option} {path}: {error.strerror}") from error
    if b"-----BEGIN " not in data:
        raise InvalidArgument(f"{option} {path}: not a PEM file")
    return data
