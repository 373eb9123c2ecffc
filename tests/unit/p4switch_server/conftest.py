"""Switches in this process on free ports; no root, no interfaces."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from unit.p4switch_server.client import CPU_PORT, Client

from p4switch.switch import Switch


@pytest.fixture
def switch() -> Iterator[Switch]:
    """A switch without a program."""
    with Switch(device_id=1, grpc_address="127.0.0.1:0", cpu_port=CPU_PORT) as started:
        yield started


@pytest.fixture
def client(switch: Switch) -> Iterator[Client]:
    """The primary, which has pushed the test program."""
    with Client(switch.grpc_address, election_id=10) as connected:
        assert connected.notice() == (0, 10)
        connected.push()
        yield connected
