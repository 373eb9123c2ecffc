"""Who stands in for a router that is away, and where its bindings and new connections go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.plan.failover import all_stand_ins, moved, stand_ins
from controller.plan.routes_shares import shares
from controller.plan.routes_state import RouterState, RoutesState, ServiceView

NAMES = tuple(f"r{n}" for n in range(1, 7))
LABELS = {name: 301 + index for index, name in enumerate(NAMES)}
RING = {name: (NAMES[(index + 1) % 6], NAMES[(index + 2) % 6]) for index, name in enumerate(NAMES)}
some = st.sets(st.sampled_from(NAMES))
mappings = st.fixed_dictionaries(
    {
        name: st.lists(st.sampled_from([n for n in NAMES if n != name]), max_size=3, unique=True)
        for name in NAMES
    }
)


def test_a_dead_routers_connections_go_to_its_living_shadows() -> None:
    assert stand_ins("r1", RING, {"r1"}) == ("r2", "r3")
    assert stand_ins("r1", RING, {"r1", "r2"}) == ("r3",)


def test_when_all_its_shadows_are_dead_theirs_take_over() -> None:
    assert stand_ins("r1", RING, {"r1", "r2", "r3"}) == ("r4", "r5")


def test_a_shadow_that_returns_does_not_get_connections_that_it_has_no_state_of() -> None:
    assert stand_ins("r1", RING, {"r1"}, current=("r3",)) == ("r3",)


def test_what_the_last_stand_in_had_taken_over_goes_to_its_own_shadows() -> None:
    # r2 is back meanwhile, but only r3's shadows hold what r3 did for r1.
    assert stand_ins("r1", RING, {"r1", "r3"}, current=("r3",)) == ("r4", "r5")


def test_a_drained_router_serves_when_nobody_else_lives() -> None:
    dead = {*NAMES} - {"r2"}
    assert stand_ins("r1", RING, dead, {"r2"}) == ("r2",)
    assert "r2" not in all_stand_ins(RING, dead, {"r2"}, {})


@given(mappings, some, some, st.lists(st.sampled_from(NAMES), max_size=3, unique=True))
def test_nobody_is_sent_to_a_dead_router_or_to_the_one_that_is_away(
    shadows: dict[str, list[str]], dead: set[str], drained: set[str], current: list[str]
) -> None:
    for router in {*NAMES} - {*current}:
        found = stand_ins(router, shadows, dead, drained, current)
        assert not {*found} & dead
        assert router not in found
        assert len({*found}) == len(found)


@given(mappings, some, some)
def test_the_same_deaths_move_nothing_twice(
    shadows: dict[str, list[str]], dead: set[str], drained: set[str]
) -> None:
    first = all_stand_ins(shadows, dead, drained, {})
    assert all_stand_ins(shadows, dead, drained, first) == first
    assert moved(first, first) == ()
    assert {*moved({}, first)} == {*first}


@given(mappings, some, some)
def test_a_further_death_moves_only_what_it_concerns(
    shadows: dict[str, list[str]], dead: set[str], more: set[str]
) -> None:
    before = all_stand_ins(shadows, dead, (), {})
    after = all_stand_ins(shadows, dead | more, (), before)
    for router in before:
        if router in after and not {*before[router]} & more:
            assert after[router] == before[router]


splits = st.dictionaries(
    st.sampled_from(NAMES),
    st.dictionaries(st.sampled_from(NAMES), st.integers(1, 30), min_size=1, max_size=3),
)


@given(mappings, some, splits)
def test_all_new_connections_go_somewhere_and_none_to_a_router_that_is_away(
    shadows: dict[str, list[str]], dead: set[str], shifted: dict[str, dict[str, int]]
) -> None:
    state = RoutesState(
        routers={
            name: RouterState(split=tuple((s, pct) for s, pct in own.items() if s != name))
            for name, own in shifted.items()
        }
    )
    services = (ServiceView(1, NAMES[:3]), ServiceView(2, ("r4",)), ServiceView(3, NAMES))
    away = all_stand_ins(shadows, dead, (), {})
    for share in shares(services, ("e1", "e2"), LABELS, state, away).values():
        assert sum(share.values()) == 100
        assert not {LABELS[name] for name in away} & {*share}


def test_the_share_of_a_dead_router_is_split_equally() -> None:
    services = (ServiceView(1, ("r1", "r4")),)
    found = shares(services, ("e1",), LABELS, RoutesState(), {"r1": ("r2", "r3")})
    assert found["e1", 1] == {302: 25, 303: 25, 304: 50}
