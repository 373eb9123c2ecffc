"""What a packet to a shard experiences at a switch: delivered at the subdivision's, tunnelled at every other."""

from __future__ import annotations

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from controller.model import FabricPlan, Shard, ShardState, Subdivision
from controller.plan.shard_routes import Attachment, shard_rows, with_shards
from harness.packets import inner, label_of
from harness.programmed import Programmed
from harness.small import CLIENT_IP, CLIENT_MAC, E1, mac, small_fabric

PODS = (Subdivision("pod1", ("10.50.0.0/16",), "main", switch="e1"),)
HOST_MAC, INSTANCE_MAC = "02:00:00:50:00:01", "02:00:00:50:00:07"
ATTACHED = (
    Attachment("10.50.1.0/26", "e1", 4, HOST_MAC),
    Attachment("10.50.1.7/32", "e1", 3, INSTANCE_MAC),
)


def route(node: Programmed, *prefixes: str) -> int:
    """Have these shards routed by the switch; how many updates that took."""
    shards = [Shard(prefix, "pod1", ShardState.ASSIGNED, 1, 0.0) for prefix in prefixes]
    rows = shard_rows(small_fabric(), PODS, shards, ATTACHED if prefixes else ())
    base = FabricPlan((node.plan,))
    return node.replan(with_shards(base, rows).node(node.plan.node))


def to(address: str, at: str) -> bytes:
    """A datagram to an address of a shard, from the client, as it reaches that switch."""
    return bytes(
        Ether(src=CLIENT_MAC, dst=mac(at))
        / IP(src=CLIENT_IP, dst=address)
        / UDP(sport=5000, dport=9999)
        / b"to a shard"
    )


def test_the_subdivisions_edge_delivers_to_the_host_and_to_an_instance_of_its_own(
    edge: Programmed,
) -> None:
    base = edge.plan
    assert edge.device.exchange(3, to("10.50.1.5", "e1"), 0) == []
    assert route(edge, "10.50.1.0/26") == 2
    for address, port, hardware in (
        ("10.50.1.5", 4, HOST_MAC),
        ("10.50.1.7", 3, INSTANCE_MAC),
    ):
        [(out, packet)] = edge.device.exchange(3, to(address, "e1"), 1)
        assert (out, Ether(packet).dst, Ether(packet).src) == (port, hardware, mac("e1"))
        assert Ether(packet)[IP].dst == address
    assert edge.device.exchange(3, to("10.50.1.64", "e1"), 0) == []
    assert edge.replan(base) == 2
    assert edge.device.exchange(3, to("10.50.1.5", "e1"), 0) == []


def test_another_switch_sends_it_there_by_label(router: Programmed) -> None:
    assert route(router, "10.50.1.0/26", "10.50.1.64/26") == 1  # neighbours: one route
    for address in ("10.50.1.5", "10.50.1.7", "10.50.1.127"):
        [(port, packet)] = router.device.exchange(1, to(address, "r1"), 1)
        assert label_of(packet) == E1
        assert Ether(packet).dst == mac("e1")
        assert inner(packet).dst == address
        assert port in (1, 2)
