"""TLS between the controller and a switch."""

from __future__ import annotations

from pathlib import Path

import finsy as fy

from controller.model import Switch


def credentials(switch: Switch) -> fy.GRPCCredentialsTLS | None:
    """What finsy needs for the switch's TLS; None for a connection in the clear."""
    if switch.tls is None:
        return None
    return fy.GRPCCredentialsTLS(
        cacert=Path(switch.tls.ca_file),
        cert=Path(switch.tls.cert_file) if switch.tls.cert_file else None,
        private_key=Path(switch.tls.key_file) if switch.tls.key_file else None,
    )
