"""Who is taken for dead, and who is not: probes and answers in a simulated fabric."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from controller.plan.liveness import Change, Liveness, LivenessSettings, Status

SETTINGS = LivenessSettings()
PERIOD_S = 0.025
QUICK_S = 0.005
ROUTERS = ("r1", "r2", "r3")
EDGES = ("e1", "e2")
Lost = Callable[[str, str, int, float], bool]  # (router, edge, path, time) → the probe is lost


@dataclass
class Play:
    """Probes from edges in turn over two paths; `lost` decides each one's fate."""

    lost: Lost = lambda router, edge, path, now_s: False
    trip_s: Callable[[random.Random], float] = lambda chance: 0.004
    routers: tuple[str, ...] = ROUTERS
    liveness: Liveness = field(init=False)
    changes: list[Change] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.liveness = Liveness(self.routers, SETTINGS, 0.0)
        self.now_s = 0.0
        self._chance = random.Random(7)
        self._under_way: list[tuple[float, str, float, str]] = []
        self._turn = 0
        self._next = dict.fromkeys(self.routers, 0.0)

    def run(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s = round(self.now_s + 0.001, 6)
            for router in self.routers:
                suspect = self.liveness.status(router) is Status.SUSPECT
                if self.now_s >= self._next[router]:
                    for edge in EDGES if suspect else (EDGES[self._turn // 2 % 2],):
                        self._probe(router, edge)
                    self._next[router] = self.now_s + (QUICK_S if suspect else PERIOD_S)
            arrived = [one for one in self._under_way if one[0] <= self.now_s]
            self._under_way = [one for one in self._under_way if one[0] > self.now_s]
            for _, router, sent_s, spine in arrived:
                self.liveness.answered(router, sent_s, self.now_s, spine)
            self.changes += self.liveness.judge(self.now_s)

    def stream_lost(self, router: str) -> None:
        change = self.liveness.stream_lost(router, self.now_s)
        assert change is not None
        self.changes.append(change)

    def _probe(self, router: str, edge: str) -> None:
        self._turn += 1
        path = self._turn % 2
        self.liveness.sent(router, f"s{path}")
        if not self.lost(router, edge, path, self.now_s):
            arrives_s = self.now_s + self.trip_s(self._chance)
            self._under_way.append((arrives_s, router, self.now_s, f"s{path}"))

    def deaths(self) -> list[str]:
        return [change.router for change in self.changes if change.after is Status.DEAD]


def test_a_router_that_falls_silent_is_dead_within_its_time() -> None:
    play = Play(lambda router, edge, path, now_s: router == "r2" and now_s > 1.0)
    play.run(1.2)
    assert play.deaths() == ["r2"]
    assert play.changes[-1].time_s < 1.0 + SETTINGS.dead_after_s + 2 * PERIOD_S
    assert play.changes[-1].silent_s >= SETTINGS.dead_after_s
    assert play.liveness.all() == {"r1": "alive", "r2": "dead", "r3": "alive"}


def test_a_lost_connection_and_silence_condemn_sooner() -> None:
    play = Play(lambda router, edge, path, now_s: router == "r2" and now_s > 1.0)
    play.run(1.0)
    play.stream_lost("r2")
    play.run(0.1)
    assert play.deaths() == ["r2"]
    assert play.changes[-1].time_s < 1.0 + SETTINGS.confirm_s + 0.02


def test_a_router_that_only_lost_its_connection_stays() -> None:
    play = Play()
    play.run(1.0)
    play.stream_lost("r2")
    play.run(2.0)
    assert [change.after for change in play.changes] == [Status.SUSPECT, Status.ALIVE]


def test_an_answer_sent_before_the_connection_was_lost_proves_nothing() -> None:
    play = Play(lambda router, edge, path, now_s: router == "r2" and now_s > 1.0)
    play.run(1.0)
    play.stream_lost("r2")
    play.liveness.answered("r2", 0.99, 1.001)
    play.run(0.1)
    assert play.deaths() == ["r2"]


def test_a_dead_edge_condemns_nobody() -> None:
    play = Play(lambda router, edge, path, now_s: edge == "e1" and now_s > 1.0)
    play.run(5.0)
    assert play.deaths() == []


def test_a_dead_path_condemns_nobody() -> None:
    play = Play(lambda router, edge, path, now_s: path == 0 and now_s > 1.0)
    play.run(5.0)
    assert play.deaths() == []


def test_a_router_with_a_cut_link_is_away_until_the_link_is_back() -> None:
    play = Play(
        lambda router, edge, path, now_s: router == "r2" and path == 0 and 1.0 < now_s < 3.0
    )
    play.run(2.9)
    assert play.deaths() == ["r2"]
    assert "s0" in play.changes[-1].reason
    assert play.changes[-1].time_s < 1.0 + 4 * SETTINGS.dead_after_s + 8 * PERIOD_S
    assert play.liveness.status("r2") is Status.DEAD, "its other link answers all the time"
    play.run(1.1)
    assert play.liveness.status("r2") is Status.RETURNING
    assert play.deaths() == ["r2"]


def test_a_spine_out_of_service_keeps_no_router_away() -> None:
    play = Play(
        lambda router, edge, path, now_s: (
            (path == 1 and now_s > 1.0) or (router == "r2" and 5.0 < now_s < 6.0)
        )
    )
    play.run(5.9)
    assert play.deaths() == ["r2"]
    play.run(1.1)
    assert play.liveness.status("r2") is Status.RETURNING
    play.run(SETTINGS.return_after_s)
    assert play.liveness.proven("r2", play.now_s)
    assert play.deaths() == ["r2"]


@pytest.mark.parametrize("loss", [0.05, 0.2])
def test_random_loss_condemns_nobody(loss: float) -> None:
    chance = random.Random(3)
    play = Play(lambda router, edge, path, now_s: chance.random() < loss)
    play.run(60.0)
    assert play.deaths() == []


def test_slow_answers_of_a_busy_fabric_condemn_nobody() -> None:
    play = Play(trip_s=lambda chance: chance.expovariate(1 / 0.03))
    play.run(60.0)
    assert play.deaths() == []


def test_when_nobody_is_heard_the_controller_is_cut_off_and_does_nothing() -> None:
    play = Play(lambda router, edge, path, now_s: now_s > 1.0)
    play.run(5.0)
    assert play.deaths() == []


def test_a_router_never_heard_gets_time_to_start() -> None:
    play = Play(lambda router, edge, path, now_s: router == "r3" and now_s < 2.0)
    play.run(4.0)
    assert play.deaths() == []


def test_a_fabric_that_takes_long_to_start_has_no_dead_routers() -> None:
    begins = {"r1": 5.0, "r2": 6.0, "r3": 7.0}
    play = Play(lambda router, edge, path, now_s: now_s < begins[router])
    play.run(9.0)
    assert play.deaths() == []


def test_a_router_that_never_answers_is_dead_in_the_end() -> None:
    play = Play(lambda router, edge, path, now_s: router == "r3")
    play.run(SETTINGS.first_s - 0.1)
    assert play.deaths() == []
    play.run(0.5)
    assert play.deaths() == ["r3"]


def test_a_router_that_returns_must_answer_for_a_while() -> None:
    play = Play(lambda router, edge, path, now_s: router == "r2" and 1.0 < now_s < 2.0)
    play.run(2.5)
    assert play.liveness.status("r2") is Status.RETURNING
    assert not play.liveness.proven("r2", play.now_s)
    play.run(SETTINGS.return_after_s)
    assert play.liveness.proven("r2", play.now_s)
    change = play.liveness.home("r2", play.now_s)
    assert change is not None
    assert change.after is Status.ALIVE


def test_a_flapping_router_stays_away() -> None:
    play = Play(lambda router, edge, path, now_s: router == "r2" and now_s % 2.0 > 1.0)
    for _ in range(20):
        play.run(0.5)
        assert not play.liveness.proven("r2", play.now_s)
    assert play.deaths().count("r2") >= 4


def test_a_router_dead_before_the_start_of_the_controller_returns_as_any_other() -> None:
    liveness = Liveness(ROUTERS, SETTINGS, 0.0, dead=["r2"])
    assert liveness.status("r2") is Status.DEAD
    liveness.answered("r2", -0.1, 0.4)  # from before: it proves nothing
    assert liveness.judge(0.41) == []
    liveness.answered("r2", 0.5, 0.51)
    assert [change.after for change in liveness.judge(0.52)] == [Status.RETURNING]


def test_a_router_that_was_restarted_is_away_until_it_was_given_its_state() -> None:
    play = Play()
    play.run(1.0)
    change = play.liveness.empty("r1", play.now_s)
    assert change is not None
    assert change.after is Status.DEAD
    play.run(0.1)
    assert play.liveness.status("r1") is Status.RETURNING


def test_when_most_are_silent_more_patience_is_needed() -> None:
    play = Play(
        lambda router, edge, path, now_s: router != "r1" and now_s > 1.0,
        routers=("r1", "r2", "r3", "r4"),
    )
    play.run(1.5)
    assert play.deaths() == []
    play.run(1.0)
    assert sorted(play.deaths()) == ["r2", "r3", "r4"]


def test_a_fabric_whose_routers_pause_all_the_time_is_given_more_time() -> None:
    def pauses(router: str, edge: str, path: int, now_s: float) -> bool:
        own = ROUTERS.index(router) * 0.31
        return now_s > 1.0 and (now_s + own) % 1.0 < 0.08 + 0.12 * min(1.0, (now_s - 1.0) / 5)

    play = Play(pauses)
    play.run(30.0)
    assert play.deaths() == []
