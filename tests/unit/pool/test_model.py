"""The invariants of docs/address-pool.md under any sequence of requests, crashes, reboots and clock jumps.

The machine keeps its own account of every address and compares each answer with it.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controller.model import Address, AddressState, Grant, ShardState
from controller.pool import Full, Pool, Refused, World
from harness.pools import POD, HandClock, assign, crashed

COOL_S = 30.0
GAP_S = 10.0
SHARDS = ("10.0.0.0/29", "10.0.0.8/30")  # six addresses and two
CAPACITY = {"10.0.0.0/29": 6, "10.0.0.8/30": 2}
OWNERS = st.sampled_from([f"vm{i}" for i in range(10)])


@dataclass
class Idle:
    """A released address: since when, and how many were released before it."""

    since_s: float
    order: int


class PoolMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        # In memory: what a disk keeps is test_crash.py's subject, and a sync is most of a request's time.
        self.directory = Path(tempfile.mkdtemp(prefix="umbra-pool-", dir="/dev/shm"))
        self.clock = HandClock()
        self.path = self.directory / "pool.db"
        self.crashes = 0
        self.now_s = 0.0  # time that really passed while the machine was up
        self.granted: dict[str, Grant] = {}
        self.past: list[Grant] = []
        self.held: list[Address] = []  # in the order in which they are given
        self.idle: dict[str, Idle] = {}
        self.reserved: dict[str, str] = {}
        self.idle_reserved: dict[str, Idle] = {}
        self.used: dict[str, set[str]] = {shard: set() for shard in SHARDS}
        self.sequences: dict[str, int] = {}
        self.dead: set[str] = set()
        self.suspects: dict[
            str, tuple[int, float]
        ] = {}  # owner → (sequence, when it was first missed)
        self.quota: int | None = None
        self.releases = 0
        self.pool = self._open()
        self.pool.register(POD)

    @initialize()
    def begin(self) -> None:
        for shard in SHARDS:
            assign(self.pool, shard)

    def teardown(self) -> None:
        self.pool.close()
        shutil.rmtree(self.directory)

    # Requests

    @rule(owner=OWNERS)
    def take(self, owner: str) -> None:
        before = self.granted.get(owner)
        warm, possible = self._next_for(owner)
        if before is None and (not possible or self._quota_is_full()):
            with pytest.raises(Full):
                self.pool.take("pod", owner)
            return
        grant = self.pool.take("pod", owner)
        if before is not None:
            assert grant == before, "the same request twice gave two answers"
            return
        assert grant.address in possible
        assert grant.warm == warm
        self._is_newer(grant.address, grant.sequence)
        self._leave_idle(grant.address)
        self.held = [each for each in self.held if each.address != grant.address]
        self.granted[owner] = grant
        self.past.append(grant)
        self.dead.discard(owner)

    @precondition(lambda self: self.granted)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        owner = data.draw(st.sampled_from(sorted(self.granted)))
        grant = self.granted[owner]
        assert self.pool.release(grant.address, owner, grant.sequence)
        self._ended(owner)

    @precondition(lambda self: self.past)
    @rule(data=st.data())
    def release_what_is_over(self, data: st.DataObject) -> None:
        grant = data.draw(st.sampled_from(self.past))
        if self.granted.get(grant.owner) != grant:
            assert not self.pool.release(grant.address, grant.owner, grant.sequence)

    @precondition(lambda self: self.granted)
    @rule(data=st.data(), thief=OWNERS)
    def release_by_another(self, data: st.DataObject, thief: str) -> None:
        grant = self.granted[data.draw(st.sampled_from(sorted(self.granted)))]
        if thief != grant.owner:
            with pytest.raises(Refused):
                self.pool.release(grant.address, thief, grant.sequence)

    @rule(number=st.integers(1, 4))
    def hold(self, number: int) -> None:
        room = number
        if self.quota is not None:
            room = min(number, max(0, self.quota - len(self.granted) - len(self.held)))
        found = self.pool.hold("pod", number)
        possible = self._cold()
        assert len(found) == min(room, len(possible))
        for each in found:
            assert each.address in self._cold_first(), "not the one idle longest"
            self._is_newer(each.address, each.sequence)
            self._leave_idle(each.address)
        self.held += found

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def unhold(self, data: st.DataObject) -> None:
        some = data.draw(st.lists(st.sampled_from(self.held), unique=True, max_size=3))
        assert self.pool.unhold(some) == [each.address for each in some]
        assert self.pool.unhold(some) == []
        for each in some:
            self.held.remove(each)
            self._rests(each.address)

    @precondition(lambda self: len(self.reserved) < 2)
    @rule(data=st.data(), owner=OWNERS)
    def reserve(self, data: st.DataObject, owner: str) -> None:
        wanted = sorted(self._all() - set(self.reserved) - self._in_use())
        if not wanted:
            return
        address = data.draw(st.sampled_from(wanted))
        assert self.pool.reserve(address, owner).state is AddressState.RESERVED
        self.reserved[address] = owner
        self.used[self._shard(address)].add(address)
        if address in self.idle:
            self.idle_reserved[address] = self.idle.pop(address)

    @precondition(lambda self: self.reserved)
    @rule(data=st.data())
    def unreserve(self, data: st.DataObject) -> None:
        address = data.draw(st.sampled_from(sorted(self.reserved)))
        self.pool.unreserve(address)
        del self.reserved[address]
        self.idle_reserved.pop(address, None)
        if address not in self._in_use():
            self._rests(address)

    @rule(most=st.one_of(st.none(), st.integers(2, 8)))
    def set_quota(self, most: int | None) -> None:
        self.pool.register(replace(POD, quota=most))
        self.quota = most

    # The world

    @rule(seconds=st.sampled_from([1.0, 9.0, 11.0, 29.0, 31.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.pass_s(seconds)
        self.now_s += seconds

    @rule(seconds=st.floats(-1e9, 1e9))
    def wall_clock_jumps(self, seconds: float) -> None:
        self.clock.people_s += seconds

    @rule()
    def crash(self) -> None:
        """kill -9: what lies on the disk at this moment is all that is left."""
        self.crashes += 1
        left = crashed(self.path, self.directory / str(self.crashes))
        self.pool.close()
        self.path = left
        self.pool = self._open()

    @rule()
    def reboot(self) -> None:
        self.pool.observe()  # the pool knows how long the machine was up; how long it is down nobody does
        self.pool.close()
        self.clock.reboot()
        self.pool = self._open()
        self.pool.observe()  # time goes on with the first change after the boot

    @precondition(lambda self: self.granted)
    @rule(data=st.data())
    def instance_dies(self, data: st.DataObject) -> None:
        self.dead.add(data.draw(st.sampled_from(sorted(self.granted))))

    @rule()
    def look(self) -> None:
        alive = {g.address: o for o, g in self.granted.items() if o not in self.dead}
        world = World(
            self.pool.observe(),
            frozenset({"pod"}),
            instances=alive,
            holders=frozenset(each.address for each in self.held),
        )
        found = self.pool.reconcile(world)
        released = set()
        for owner in sorted(self.dead & set(self.granted)):
            grant = self.granted[owner]
            known = self.suspects.get(owner)
            if known is None or known[0] != grant.sequence:
                self.suspects[owner] = (grant.sequence, self.now_s)
            elif self.now_s - known[1] >= GAP_S:
                released.add(grant.address)
        assert set(found.released) == released
        assert not found.adopted + found.conflicts + found.unheld + found.holders_to_end
        for address in found.released:
            (owner,) = [o for o, g in self.granted.items() if g.address == address]
            self._ended(owner)
        self.suspects = {o: s for o, s in self.suspects.items() if o in self.dead}

    @rule(shard=st.sampled_from(SHARDS))
    def drain_and_take_back(self, shard: str) -> None:
        (found,) = [each for each in self.pool.shards() if each.prefix == shard]
        drained = self.pool.drain(shard, found.sequence)
        assert drained.state is ShardState.DRAINING
        self.releases += 1
        for each in [each for each in self.held if each.shard == shard]:
            self.held.remove(each)
            self.idle[each.address] = Idle(self.now_s, self.releases)  # all in one moment
        in_it = [a for a in self._in_use() | set(self.reserved) if self._shard(a) == shard]
        cooling = [a for a in self.idle if self._shard(a) == shard and not self._cooled(a)]
        if in_it or cooling:
            with pytest.raises(Refused):
                self.pool.free(shard, drained.sequence)
            self.pool.undrain(shard, drained.sequence)
            return
        self.pool.free(shard, drained.sequence)
        self.idle = {a: i for a, i in self.idle.items() if self._shard(a) != shard}
        self.used[shard] = set()
        claimed = self.pool.claim(shard, "pod", "somebody")
        with pytest.raises(Refused):
            self.pool.claim(shard, "pod", "somebody else")
        self.pool.confirm(shard, claimed.sequence)

    # What holds always

    @invariant()
    def the_file_is_sound(self) -> None:
        assert self.pool.audit() == []

    @invariant()
    def nobody_shares_and_nothing_is_lost(self) -> None:
        addresses = [grant.address for grant in self.granted.values()]
        assert len(set(addresses)) == len(addresses)
        counts = self.pool.counts("pod")
        assert counts.granted == len(addresses)
        assert counts.held == len(self.held)
        assert counts.reserved == len(set(self.reserved) - set(addresses))
        assert counts.cooling == sum(not self._cooled(address) for address in self.idle)
        total = counts.free + counts.held + counts.granted + counts.cooling + counts.reserved
        assert total == counts.capacity == sum(CAPACITY[s.prefix] for s in self.pool.shards())

    @invariant()
    def every_grant_is_in_the_file(self) -> None:
        listed = self.pool.addresses("pod", state=AddressState.GRANTED)
        assert {(a.address, a.owner, a.sequence) for a in listed} == {
            (g.address, g.owner, g.sequence) for g in self.granted.values()
        }

    # The account

    def _open(self) -> Pool:
        return Pool(self.path, clock=self.clock, cool_s=COOL_S, gap_s=GAP_S)

    def _next_for(self, owner: str) -> tuple[bool, set[str]]:
        """(warm, addresses of which one is to be given)."""
        own = [
            a
            for a, o in self.reserved.items()
            if o == owner and a not in self._in_use() and self._reserved_cooled(a)
        ]
        if own:
            return False, set(own)
        if self.held:
            return True, {self.held[0].address}
        return False, self._cold_first()

    def _cold_first(self) -> set[str]:
        fresh = self._fresh()
        if fresh:
            return fresh
        cooled = {a: (i.since_s, i.order) for a, i in self.idle.items() if self._cooled(a)}
        return {a for a, since in cooled.items() if since == min(cooled.values())}

    def _cold(self) -> set[str]:
        return self._fresh() | {a for a in self.idle if self._cooled(a)}

    def _fresh(self) -> set[str]:
        return {a for a in self._all() if a not in self.used[self._shard(a)]}

    def _cooled(self, address: str) -> bool:
        return self.now_s - self.idle[address].since_s >= COOL_S

    def _reserved_cooled(self, address: str) -> bool:
        idle = self.idle_reserved.get(address)
        return idle is None or self.now_s - idle.since_s >= COOL_S

    def _quota_is_full(self) -> bool:
        return self.quota is not None and len(self.granted) >= self.quota

    def _in_use(self) -> set[str]:
        held = {each.address for each in self.held}
        return held | {grant.address for grant in self.granted.values()}

    def _all(self) -> set[str]:
        return {f"10.0.0.{i}" for i in (1, 2, 3, 4, 5, 6, 9, 10)}

    def _shard(self, address: str) -> str:
        return SHARDS[0] if int(address.rsplit(".", 1)[1]) < 8 else SHARDS[1]

    def _is_newer(self, address: str, sequence: int) -> None:
        assert sequence > self.sequences.get(address, 0), "a sequence number came twice"
        self.sequences[address] = sequence

    def _leave_idle(self, address: str) -> None:
        self.idle.pop(address, None)
        self.idle_reserved.pop(address, None)
        self.used[self._shard(address)].add(address)

    def _rests(self, address: str) -> None:
        self.releases += 1
        self.idle[address] = Idle(self.now_s, self.releases)

    def _ended(self, owner: str) -> None:
        grant = self.granted.pop(owner)
        self.dead.discard(owner)
        self.suspects.pop(owner, None)
        self._rests(grant.address)
        if grant.address in self.reserved:
            self.idle_reserved[grant.address] = self.idle.pop(grant.address)


PoolMachine.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestPool = PoolMachine.TestCase
