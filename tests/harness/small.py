"""The smallest fabric in which everything happens: one edge, two spines, routers and backends."""

from __future__ import annotations

from dataclasses import replace

from controller.model import (
    Backend,
    Client,
    Fabric,
    Idle,
    Link,
    NodePlan,
    Port,
    Service,
    SlotSet,
    Stage,
    Switch,
)
from controller.plan.fabric import fabric_plan, slot_set_id

CLIENT_IP, CLIENT_MAC = "10.1.1.10", "02:00:00:10:00:01"
VIP = "10.100.0.1"
WEB, DNS = 1, 2
E1, S1, S2, R1, R2, B1, B2 = 101, 201, 202, 301, 302, 401, 402
R3, R4, STRANGER = 303, 304, 305  # peers of r1 that only exist as labels
CAPACITY = 5
PATIENT = Idle(tcp_s=600, udp_s=600, opening_s=600, linger_s=600)

_MAC = {
    name: f"02:00:00:00:{index:02x}:01" for index, name in enumerate(("e1", "s1", "s2", "r1", "r2"))
}


def small_fabric(address: str = "127.0.0.1:1") -> Fabric:
    """Ports: e1 1→s1 2→s2 3→client; r1/r2 1→s1 2→s2; spines 1→e1 2→r1 3→r2 4→backend."""

    def switch(
        name: str, stage: Stage, label: int, subnet: str | None, capacity: int = 0
    ) -> Switch:
        return Switch(
            name,
            stage,
            1,
            address,
            label,
            _MAC[name],
            subnet=subnet,
            capacity=capacity,
            table_size=256,
        )

    ends = [("e1", 1), ("r1", 2), ("r2", 3)]
    return Fabric(
        switches=(
            switch("e1", Stage.EDGE, E1, "10.1.1.0/24"),
            switch("s1", Stage.SPINE, S1, "10.2.1.0/24"),
            switch("s2", Stage.SPINE, S2, "10.2.2.0/24"),
            switch("r1", Stage.ROUTER, R1, None, CAPACITY),
            switch("r2", Stage.ROUTER, R2, None, CAPACITY),
        ),
        links=tuple(
            Link(Port(name, spine), Port(f"s{spine}", port))
            for name, port in ends
            for spine in (1, 2)
        ),
        clients=(Client("c1", Port("e1", 3), CLIENT_IP, CLIENT_MAC),),
        backends=(
            Backend("b1", Port("s1", 4), "10.2.1.10", "02:00:00:20:00:01", B1),
            Backend("b2", Port("s2", 4), "10.2.2.10", "02:00:00:20:00:02", B2),
        ),
        services=(
            Service(WEB, "web", VIP, "tcp", 80, ("r1", "r2"), ("b1", "b2")),
            Service(DNS, "dns", VIP, "udp", 53, ("r1", "r2"), ("b1", "b2")),
        ),
    )


def small_plan(node: str, idle: Idle = PATIENT) -> NodePlan:
    """What that switch must hold."""
    return fabric_plan(small_fabric(), idle=idle).node(node)


def weighted(service: int, shares: dict[int, int]) -> SlotSet:
    """The primary slot set of a service with these shares."""
    number = slot_set_id(next(s for s in small_fabric().services if s.id == service))
    return SlotSet(number, tuple(x for label, count in shares.items() for x in [label] * count))


def mac(name: str) -> str:
    """MAC address of a switch."""
    return _MAC[name]


def at(fabric: Fabric, node: str, address: str, device_id: int) -> Switch:
    """The switch of that name, reached at another address."""
    return replace(fabric.switch(node), address=address, device_id=device_id)
