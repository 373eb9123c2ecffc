"""Which routers stand in for which."""

from __future__ import annotations

from collections import Counter

from controller.model import Fabric, Link, Port, Stage, Switch
from controller.plan.shadows import candidates


def switch(name: str, stage: Stage, number: int, capacity: int = 0) -> Switch:
    return Switch(
        name, stage, number, f"127.0.0.1:{50000 + number}", 100 + number, "", capacity=capacity
    )


def fabric(
    routers: dict[str, tuple[str, int]], spine_delay_ms: float = 5.0, tail_ms: float = 0.0
) -> Fabric:
    """routers: name → (spine, capacity); the spines a and b are joined."""
    switches = [switch("a", Stage.SPINE, 1), switch("b", Stage.SPINE, 2)]
    links = [Link(Port("a", 1), Port("b", 1), spine_delay_ms)]
    for index, (name, (spine, capacity)) in enumerate(routers.items()):
        switches.append(switch(name, Stage.ROUTER, 10 + index, capacity))
        links.append(Link(Port(spine, 10 + index), Port(name, 1), tail_ms))
    return Fabric(tuple(switches), tuple(links), (), (), ())


def test_near_routers_come_before_far_ones_whatever_their_capacity() -> None:
    found = candidates(
        fabric({"r1": ("a", 400), "r2": ("b", 9000), "r3": ("a", 100), "r4": ("a", 200)})
    )
    assert found["r1"] == ("r4", "r3", "r2")


def test_the_shadows_of_equals_are_spread_evenly() -> None:
    found = candidates(fabric({f"r{n}": ("a", 400) for n in range(12)}), per_router=2)
    used = Counter(name for names in found.values() for name in names[:2])
    assert set(used.values()) == {2}
    assert all(name not in names for name, names in found.items())


def test_one_big_router_is_not_everybodys_shadow() -> None:
    routers = {f"r{n}": ("a", 400) for n in range(8)} | {"big": ("a", 800)}
    found = candidates(fabric(routers), per_router=2)
    used = Counter(name for names in found.values() for name in names[:2])
    assert used["big"] <= 4


def test_overrides_are_taken_as_they_are() -> None:
    routers = {f"r{n}": ("a", 400) for n in range(5)}
    found = candidates(fabric(routers), overrides={"r0": ("r4", "r2")})
    assert found["r0"] == ("r4", "r2")


def test_a_router_out_of_reach_is_no_shadow() -> None:
    base = fabric({"r1": ("a", 400), "r2": ("a", 400), "r3": ("b", 400)})
    cut = Fabric(base.switches, base.links[1:], (), (), ())
    assert candidates(cut)["r1"] == ("r2",)
    assert candidates(cut)["r3"] == ()


def test_paths_lead_over_spines_not_over_other_routers() -> None:
    base = fabric({"r1": ("a", 400), "r2": ("a", 400), "r3": ("b", 400)}, spine_delay_ms=50.0)
    bridge = Link(Port("r2", 9), Port("b", 90), 0.0)
    found = candidates(Fabric(base.switches, (*base.links, bridge), (), (), ()))
    # r2 hangs on both spines, but r1 reaches r3 only over the slow link between them.
    assert found["r1"] == ("r2", "r3")
    assert found["r2"][0] in {"r1", "r3"}
