"""Which way to a router counts: one cut link is found, a spine that nobody is heard by is no router's fault."""

from __future__ import annotations

import pytest

from controller.plan.links import LEAST_UNANSWERED, Links

LIMIT_S = 0.4
DIED_S = 1.0  # r1; both spines had worked until then
NOW_S = 5.0
RECENT_S = NOW_S - LIMIT_S
ROUTERS = ("r1", "r2", "r3")


@pytest.fixture
def links() -> Links:
    """All routers were heard by both spines before r1 died."""
    known = Links()
    for router in ROUTERS:
        for spine in ("s1", "s2"):
            known.answered(router, spine, DIED_S - 0.1)
    return known


def hear(links: Links, spine: str, *routers: str) -> None:
    for router in routers:
        links.answered(router, spine, NOW_S - 0.01)


def miss(links: Links, spine: str, *routers: str) -> None:
    for router in routers:
        for _ in range(LEAST_UNANSWERED):
            links.sent(router, spine)


def test_a_router_heard_by_every_spine_again_is_whole(links: Links) -> None:
    hear(links, "s1", *ROUTERS)
    hear(links, "s2", *ROUTERS)
    assert links.whole_since("r1", DIED_S, RECENT_S)


def test_a_router_is_whole_without_a_spine_that_is_out_of_service(links: Links) -> None:
    hear(links, "s1", *ROUTERS)
    assert links.whole_since("r1", DIED_S, RECENT_S)


def test_a_router_is_not_whole_while_others_are_heard_by_a_spine_and_it_is_not(
    links: Links,
) -> None:
    hear(links, "s1", *ROUTERS)
    hear(links, "s2", "r2", "r3")
    assert not links.whole_since("r1", DIED_S, RECENT_S)


def test_a_link_is_cut_when_only_this_router_is_silent_by_that_spine(links: Links) -> None:
    hear(links, "s1", *ROUTERS)
    hear(links, "s2", "r2", "r3")
    miss(links, "s2", "r1")
    assert links.cut("r1", NOW_S, LIMIT_S) == "s2"
    assert links.cut("r2", NOW_S, LIMIT_S) is None


def test_no_link_is_cut_when_everybody_is_silent_by_that_spine(links: Links) -> None:
    hear(links, "s1", *ROUTERS)
    miss(links, "s2", *ROUTERS)
    assert [links.cut(router, NOW_S, LIMIT_S) for router in ROUTERS] == [None] * 3


def test_no_link_is_cut_when_the_router_is_silent_everywhere(links: Links) -> None:
    hear(links, "s1", "r2", "r3")
    hear(links, "s2", "r2", "r3")
    miss(links, "s1", "r1")
    miss(links, "s2", "r1")
    assert links.cut("r1", NOW_S, LIMIT_S) is None
