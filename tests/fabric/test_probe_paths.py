"""A probe's source port says which spine it travels over: real switches choose as was computed."""

from __future__ import annotations

from controller.act.probes import Probe, probe_frame
from controller.plan.probe_paths import probe_paths
from harness.programmed import Programmed
from harness.small import E1, R1, small_fabric

SPINE_PORT = {"s1": 1, "s2": 2}
PATHS = probe_paths(small_fabric())["e1", "r1"]


WAYS = [(SPINE_PORT[spine], source) for spine, sources in PATHS.items() for source in sources]


def test_a_router_sends_a_probe_back_over_the_spine_it_came_from(router: Programmed) -> None:
    for way, source_port in WAYS:
        frame = probe_frame(E1, Probe(R1, 1, source_port))
        [(port, _)] = router.device.exchange(way, frame, 1)
        assert port == way


def test_an_edge_sends_a_probe_over_the_spine_that_its_port_says(edge: Programmed) -> None:
    for way, source_port in WAYS:
        edge.run(edge.link.probe(Probe(R1, 1, source_port)))
        [(port, _)] = edge.device.receive(1)
        assert port == way
