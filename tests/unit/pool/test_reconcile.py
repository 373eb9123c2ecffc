"""The pool against what really runs."""

from __future__ import annotations

from typing import Any

from controller.model import AddressState, ShardState
from controller.pool import Pool, Reconciliation, World
from controller.pool.file import open_file
from controller.pool.reconcile import carry_out, compare
from harness.pools import HandClock, assign

ALL = frozenset({"pod"})


def look(pool: Pool, clock: HandClock, **seen: Any) -> Reconciliation:
    """Fifteen seconds after the last."""
    clock.pass_s(15)
    return pool.reconcile(World(pool.observe(), seen.pop("subdivisions", ALL), **seen))


def state(pool: Pool, address: str) -> AddressState:
    found = pool.address(address)
    assert found is not None
    return found.state


def test_a_leak_is_released_when_it_was_seen_twice_and_not_before(
    pool: Pool, clock: HandClock
) -> None:
    leak = pool.take("pod", "gone").address
    assert look(pool, clock).suspected == (leak,)
    assert state(pool, leak) is AddressState.GRANTED
    assert look(pool, clock).released == (leak,)
    assert state(pool, leak) is AddressState.COOLING


def test_two_looks_at_nearly_one_moment_count_once(pool: Pool, clock: HandClock) -> None:
    pool.take("pod", "vm1")
    first, second = pool.observe(), pool.observe()
    pool.reconcile(World(first, ALL))
    clock.pass_s(60)  # the second came late, but was not made late
    assert pool.reconcile(World(second, ALL)).released == ()


def test_an_instance_that_was_seen_again_is_not_suspect_any_more(
    pool: Pool, clock: HandClock
) -> None:
    grant = pool.take("pod", "vm1")
    look(pool, clock)
    look(pool, clock, instances={grant.address: "vm1"})
    assert look(pool, clock).released == ()


def test_what_changed_after_the_look_began_is_left_alone(pool: Pool, clock: HandClock) -> None:
    begun = pool.observe()
    pool.take("pod", "vm1")
    assert pool.reconcile(World(begun, ALL)) == Reconciliation()


def test_who_took_the_address_anew_between_two_looks_keeps_it(pool: Pool, clock: HandClock) -> None:
    pool.reserve("10.0.0.3", "vm1")
    grant = pool.take("pod", "vm1")
    look(pool, clock)
    pool.release(grant.address, "vm1", grant.sequence)
    clock.pass_s(31)
    again = pool.take("pod", "vm1")
    assert again.address == grant.address
    assert look(pool, clock).released == ()


def test_an_owner_whose_instance_is_starting_loses_nothing(pool: Pool, clock: HandClock) -> None:
    pool.take("pod", "slow")
    for _ in range(4):
        assert look(pool, clock, owners=frozenset({"slow"})) == Reconciliation()


def test_a_host_that_was_not_seen_proves_nothing(pool: Pool, clock: HandClock) -> None:
    pool.take("pod", "vm1")
    for _ in range(3):
        assert look(pool, clock, subdivisions=frozenset()) == Reconciliation()


def test_an_address_that_runs_is_never_given_to_anybody_else(pool: Pool, clock: HandClock) -> None:
    """The file is older than the world: restored from a copy, or new."""
    found = look(pool, clock, instances={"10.0.0.1": "vm1", "10.0.0.4": None})
    assert set(found.adopted) == {"10.0.0.1", "10.0.0.4"}
    assert pool.take("pod", "vm1").address == "10.0.0.1"
    others = {pool.take("pod", f"new{number}").address for number in range(4)}
    assert others == {"10.0.0.2", "10.0.0.3", "10.0.0.5", "10.0.0.6"}
    assert pool.audit() == []


def test_a_released_instance_that_still_answers_keeps_its_address_cooling(
    pool: Pool, clock: HandClock
) -> None:
    grant = pool.take("pod", "vm1")
    pool.release(grant.address, "vm1", grant.sequence)
    assert look(pool, clock, instances={grant.address: "vm1"}).lingering == (grant.address,)
    clock.pass_s(16)  # 31 s after the release, 16 after it was seen
    assert state(pool, grant.address) is AddressState.COOLING
    found = look(pool, clock, instances={grant.address: "vm1"})
    assert found.adopted == (grant.address,)


def test_a_warm_address_with_an_instance_belongs_to_the_instance(
    pool: Pool, clock: HandClock
) -> None:
    (held,) = pool.hold("pod", 1)
    found = look(pool, clock, instances={held.address: "vm1"}, holders=frozenset({held.address}))
    assert found.adopted == (held.address,)
    assert pool.take("pod", "vm1").address == held.address
    assert pool.shards()[0].state is ShardState.ASSIGNED


def test_holders_that_should_not_be_and_that_are_missing_are_told(
    pool: Pool, clock: HandClock
) -> None:
    kept, missing = pool.hold("pod", 2)
    grant = pool.take("pod", "vm1")
    assert grant.address == kept.address  # its holder was not ended: the caller crashed
    seen: dict[str, Any] = {
        "instances": {grant.address: "vm1"},
        "holders": frozenset({grant.address, "10.0.0.6"}),
    }
    found = look(pool, clock, **seen)
    assert set(found.holders_to_end) == {grant.address, "10.0.0.6"}
    assert found.holders_missing == (missing.address,)
    assert look(pool, clock, **seen).unheld == (missing.address,)


def test_an_address_is_known_however_it_is_written(pool: Pool, clock: HandClock) -> None:
    assign(pool, "fd00::/120")
    grant = pool.take("pod", "vm1", family=6)
    for _ in range(3):
        found = look(pool, clock, instances={"FD00:0:0::0001": "vm1"})
        assert found == Reconciliation()
    assert pool.take("pod", "vm1", family=6) == grant
    never_used = pool.address("FD00:0::9")
    assert never_used is not None
    assert never_used.address == "fd00::9"


def test_a_look_that_was_overtaken_by_another_takes_nothing(pool: Pool, clock: HandClock) -> None:
    """Two controllers look; the slower one decided on what the quicker one has corrected."""
    grant = pool.take("pod", "vm1")
    look(pool, clock)
    clock.pass_s(15)
    slow = World(pool.observe(), ALL)
    with open_file(pool.path) as reader:
        decided = compare(reader, slow, gap_s=10)
    look(pool, clock, instances={grant.address: "vm1"})
    assert pool._commits.run(lambda batch: carry_out(batch, decided.changes)) == []
    assert pool.take("pod", "vm1") == grant


def test_contradictions_are_told_and_nothing_is_changed(pool: Pool, clock: HandClock) -> None:
    grant = pool.take("pod", "vm1")
    pool.reserve("10.0.0.6")
    found = look(
        pool, clock, instances={grant.address: "thief", "10.0.0.6": "vm6", "192.0.2.9": "far"}
    )
    assert len(found.conflicts) == 3
    assert found.adopted == ()
    assert pool.take("pod", "vm1") == grant


def test_an_owner_that_runs_with_two_addresses_is_told_and_both_are_kept_from_others(
    pool: Pool, clock: HandClock
) -> None:
    pool.take("pod", "vm1")
    found = look(pool, clock, instances={"10.0.0.1": "vm1", "10.0.0.2": "vm1"})
    assert "runs with 10.0.0.2 and has another" in found.conflicts[0]
    assert pool.take("pod", "vm2").address == "10.0.0.3"
