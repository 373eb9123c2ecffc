"""A probe's source port says which spine it travels over: real switches choose as was computed."""

from __future__ import annotations

import pytest

from controller.act.probes import probe_frame
from controller.plan.probe_paths import probe_paths
from harness.programmed import Make
from harness.small import E1, R1, small_fabric

SPINE_PORT = {"s1": 1, "s2": 2}
PATHS = probe_paths(small_fabric())["e1", "r1"]


@pytest.mark.parametrize("spine", sorted(PATHS))
def test_a_router_sends_a_probe_back_over_the_spine_it_came_from(make: Make, spine: str) -> None:
    with make("r1") as router:
        for source_port in PATHS[spine]:
            frame = probe_frame(E1, R1, id=1, source_port=source_port)
            [(port, _)] = router.device.exchange(SPINE_PORT[spine], frame, 1)
            assert port == SPINE_PORT[spine]


@pytest.mark.parametrize("spine", sorted(PATHS))
def test_an_edge_sends_a_probe_over_the_spine_that_its_port_says(make: Make, spine: str) -> None:
    with make("e1") as edge:
        for source_port in PATHS[spine]:
            edge.run(edge.link.probe(R1, id=1, source_port=source_port, size=0, flags=0, group=0))
            [(port, _)] = edge.device.receive(1)
            assert port == SPINE_PORT[spine]
