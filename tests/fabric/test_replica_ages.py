"""How long a shadow remembers what it was told."""

from __future__ import annotations

from dataclasses import replace

from controller.act.packets import ScanMode
from controller.model import Idle
from harness.packets import arriving, label_of
from harness.programmed import Make
from harness.replicas import (
    counted,
    deliver,
    exchange,
    made,
    others,
    replicating,
    scanned,
    signature,
    table,
)
from harness.small import B2, WEB, weighted

SPINE_1, SPINE_2 = 1, 2

# Idle times in ticks: opening 400, datagram 800, established 1600, linger 200.
AGED = Idle(tcp_s=104.8576, udp_s=52.4288, opening_s=26.2144, linger_s=13.1072)
# (state, age in ticks, is it owned, is it kept); 80 ticks (5 s) at least from any limit
AGES = [
    ("opening", 160, True, True),
    ("opening", 600, True, False),
    ("opening", 600, False, True),
    ("opening", 1000, False, False),
    ("established", 1200, True, True),
    ("established", 2000, True, False),
    ("established", 2000, False, True),
    ("established", 3600, False, False),
    ("datagram", 600, True, True),
    ("datagram", 1200, True, False),
    ("datagram", 1200, False, True),
    ("datagram", 2000, False, False),
    ("closing", 80, True, True),
    ("closing", 300, True, False),
    ("closing", 300, False, True),
    ("closing", 500, False, False),
]


def test_a_replica_lives_twice_as_long_as_an_owned_connection(make: Make) -> None:
    """A primary speaks of a connection now and then only: its shadow must not be the first to forget."""
    with make("r1", idle=AGED) as node:
        node.replan(replicating(node.plan))
        aged = [
            made("give" if owned else "full", 1000 + number, number, state=state, age=age)
            for number, (state, age, owned, _) in enumerate(AGES)
        ]
        deliver(node, SPINE_2, *aged)
        result = scanned(node, ScanMode.EXPIRE)
        left = table(node)
        for number, (state, age, owned, kept) in enumerate(AGES):
            assert (signature(1000 + number) in left) == kept, (state, age, owned)
        expired = [row for row in AGES if row[2] and not row[3] and row[0] != "closing"]
        living = [row for row in AGES if row[2] and row[3] and row[0] != "closing"]
        assert (result.expired, result.live) == (len(expired), len(living))


def test_places_of_forgotten_replicas_are_used_again_and_not_counted_as_expired(make: Make) -> None:
    with make("r1", idle=AGED) as node:
        node.replan(replace(replicating(node.plan), index_mask=0))
        node.weights(weighted(WEB, {B2: 100}))
        stale = [made("full", 5000 + n, n, state="opening", age=1000) for n in range(4)]
        deliver(node, SPINE_2, *stale)
        [(_, packet)] = others(exchange(node, SPINE_1, arriving(1000), least=1))
        assert label_of(packet) == B2
        assert counted(node, "services_expired", WEB) == [0]
        assert scanned(node, ScanMode.EXPIRE).live == 1


def test_an_owned_connection_past_its_time_makes_room_for_a_replica(make: Make) -> None:
    with make("r1", idle=AGED) as node:
        node.replan(replace(replicating(node.plan), index_mask=0))
        owned = [made("give", 5000 + n, n, state="opening") for n in range(3)]
        stale = made("give", 5003, 3, state="opening", age=600)
        deliver(node, SPINE_2, *owned, stale, made("open", 1000, 0))
        assert counted(node, "services_expired", WEB) == [1]
        assert table(node).keys() == {signature(port) for port in (5000, 5001, 5002, 1000)}


def test_the_age_of_a_connection_travels_with_it(make: Make) -> None:
    with make("r1", idle=AGED) as node:
        node.replan(replicating(node.plan))
        deliver(node, SPINE_2, made("full", 1000, 0, age=1400))
        entry = table(node)[signature(1000)]
        assert 1400 <= (entry.age_ticks or 0) < 1600
