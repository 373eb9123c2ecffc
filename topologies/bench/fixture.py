"""One edge with a service on two routers, and the frames of its clients."""

from __future__ import annotations

from controller.model import (
    Backend,
    Client,
    Fabric,
    Link,
    Port,
    Service,
    Stage,
    Switch,
)
from topologies.bench.segments import ethernet, segment

CLIENT = "10.1.1.10"
SERVICE = "10.100.0.1"
EDGE_MAC = "02:00:00:00:01:01"
CLIENT_MAC = "02:00:00:10:00:01"
HEADERS_BYTES = 54


def one_edge(address: str, device_id: int) -> Fabric:
    """Ports of the edge: 1 and 2 to the spines, 3 to the client."""

    def switch(name: str, stage: Stage, label: int, subnet: str | None = None) -> Switch:
        mac = f"02:00:00:00:{label // 100:02x}:{label % 100:02x}"
        return Switch(name, stage, device_id, address, label, mac, subnet=subnet)

    return Fabric(
        switches=(
            switch("e1", Stage.EDGE, 101, "10.1.1.0/24"),
            switch("s1", Stage.SPINE, 201, "10.2.1.0/24"),
            switch("s2", Stage.SPINE, 202, "10.2.2.0/24"),
            switch("r1", Stage.ROUTER, 301),
            switch("r2", Stage.ROUTER, 302),
        ),
        links=tuple(
            Link(Port(name, spine), Port(f"s{spine}", port))
            for name, port in (("e1", 1), ("r1", 2), ("r2", 3))
            for spine in (1, 2)
        ),
        clients=(Client("c1", Port("e1", 3), CLIENT, CLIENT_MAC),),
        backends=(Backend("b1", Port("s1", 4), "10.2.1.10", "02:00:00:20:00:01", 401),),
        services=(Service(1, "web", SERVICE, "tcp", 80, ("r1", "r2"), ("b1",)),),
    )


def frame(sport: int, flags: str, size: int) -> bytes:
    """A TCP segment from the client to the service, `size` bytes (at least 54) with its Ethernet header."""
    packet = segment(
        (CLIENT, sport), (SERVICE, 80), flags, sequence=1, payload=b"x" * (size - HEADERS_BYTES)
    )
    return ethernet(EDGE_MAC, CLIENT_MAC, packet)
