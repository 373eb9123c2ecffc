"""Which UDP source port leads a probe over which spine, there and back. Pure.

The sending switch takes `source port % paths` among its paths to the router, the router the CRC-32 of the
probe's 5-tuple among those back (p4src/include/probes.p4, forwarding.p4). A probe that goes and returns over
one spine says something about that spine's link to the router; one that mixes two says less.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from controller.model import Fabric, Stage
from controller.plan.paths import next_hops

FIRST_PORT, LAST_PORT = 49152, 65535  # dynamic ports (RFC 6335)
PORTS_PER_PATH = 4
LINK_LOCAL = b"\xa9\xfe"
PROBED = b"\xa9\xfe\x00\x01"  # where every probe is addressed to
UDP, PROBE_PORT = 17, 50101

Paths = Mapping[tuple[str, str], Mapping[str, tuple[int, ...]]]  # (edge, router) → spine → ports


def signature(own_label: int, source_port: int) -> int:
    """CRC-32 of a probe's 5-tuple, as the data plane computes it."""
    return zlib.crc32(
        LINK_LOCAL
        + own_label.to_bytes(2, "big")
        + PROBED
        + UDP.to_bytes(1, "big")
        + source_port.to_bytes(2, "big")
        + PROBE_PORT.to_bytes(2, "big")
    )


def probe_paths(fabric: Fabric) -> Paths:
    """Source ports for every edge, router, and spine that links both on shortest paths."""
    hops = next_hops(fabric)
    ends = {(link.a.switch, link.a.number): link.b.switch for link in fabric.links}
    ends |= {(link.b.switch, link.b.number): link.a.switch for link in fabric.links}
    result: dict[tuple[str, str], dict[str, tuple[int, ...]]] = {}
    for edge in fabric.stage(Stage.EDGE):
        for router in fabric.stage(Stage.ROUTER):
            there = [ends[edge.name, port] for port in hops[edge.name].get(router.name, ())]
            back = [ends[router.name, port] for port in hops[router.name].get(edge.name, ())]
            if there and back:
                result[edge.name, router.name] = _ports(edge.label, there, back)
    return result


def _ports(own_label: int, there: list[str], back: list[str]) -> dict[str, tuple[int, ...]]:
    wanted = {*there} & {*back}
    found: dict[str, list[int]] = {spine: [] for spine in sorted(wanted)}
    for port in range(FIRST_PORT, LAST_PORT + 1):
        spine = there[port % len(there)]
        if back[signature(own_label, port) % len(back)] == spine:
            ports = found[spine]
            if len(ports) < PORTS_PER_PATH:
                ports.append(port)
                if all(len(own) == PORTS_PER_PATH for own in found.values()):
                    break
    return {spine: tuple(ports) for spine, ports in found.items() if ports}
