"""Probes between two routers, there and back, and what comes to who sent them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controller.act.probes import COLLECT, QUIET, Probe, ProbeAnswer
from harness.pair import Pair, pair
from harness.small import R2, WEB


@pytest.fixture(scope="module")
def routers(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """r1 and r2: the same for all tests, for a probe leaves no mark."""
    with pair(kind, tmp_path_factory.mktemp("pair")) as both:
        yield both


def probes(routers: Pair, sent: list[Probe], answers: int) -> list[tuple[str, ProbeAnswer]]:
    """Send probes from r1 to r2 and wait for that many answers."""
    found: list[tuple[str, ProbeAnswer]] = []

    def take(node: str, answer: ProbeAnswer) -> None:
        found.append((node, answer))

    async def ask() -> None:
        for one in sent:
            await routers.driver.probe("r1", one)
        await routers.until(enough)

    async def enough() -> bool:
        return len(found) >= answers

    routers.driver.on_probe.append(take)
    try:
        routers.do(ask())
    finally:
        routers.driver.on_probe.remove(take)
    return found


def test_a_probe_goes_there_and_back_and_says_how_long_it_took(routers: Pair) -> None:
    answers = probes(routers, [Probe(R2, id=7, source_port=50000, size=200)], 1)
    [(node, answer)] = answers
    assert (node, answer.id, answer.copy) == ("r1", 7, 0)
    assert 0 < answer.round_trip_us < 5_000_000
    counted = next(one for one in routers.do(routers.driver.read_counters()) if one.node == "r2")
    assert counted.services[WEB].unbound == 0


def test_a_train_of_probes_comes_back_whole(routers: Pair) -> None:
    train = routers.plan().node("r1").trains[0]
    sent = [Probe(R2, id=9, source_port=50000, group=train.group)]
    answers = probes(routers, sent, train.copies)
    assert sorted(answer.copy for _, answer in answers) == list(range(1, train.copies + 1))


def test_quiet_probes_are_counted_and_collected(routers: Pair) -> None:
    quiet = [Probe(R2, id=number, source_port=50000 + number, flags=QUIET) for number in range(5)]
    collect = Probe(R2, id=99, source_port=50000, flags=COLLECT)
    before = routers.cable.carried
    probes(routers, quiet, 0)

    async def returned() -> bool:
        return routers.cable.carried >= before + 2 * len(quiet)

    routers.do(routers.until(returned))
    [(_, answer)] = probes(routers, [collect], 1)
    assert (answer.id, answer.count) == (99, 5)
    assert 0 < answer.max_us <= answer.sum_us <= 5 * answer.max_us
    [(_, again)] = probes(routers, [collect], 1)
    assert again.count == 0
