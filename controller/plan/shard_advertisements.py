"""Shards → what each real router is told by BGP, and the policy that goes with it. Pure.

The policy prefers traffic within pre-allocated shards (seed 9055112, 4): the warmer a shard, the better its routes.

- LOCAL_PREF (internal peers) and MED (external ones) rank by state: prefetched before assigned before draining.
- MED grows with the fabric hops between the edge that the router hangs on and the subdivision's switch: among
  several ways in, traffic takes the one next to the shard.
- A community names the state, for policies of the operator's own; a draining shard has GRACEFUL_SHUTDOWN
  (RFC 8326) too, so that routers leave it before its addresses are given back.
- Only claimed shards are told, never a subdivision's whole supernet: what no shard covers attracts no traffic.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from controller.model import Fabric, Shard, ShardState, Stage, Subdivision
from controller.model.bgp import Advertisement, BgpPeer, BgpSettings
from controller.plan.shards.aggregation import fewest

GRACEFUL_SHUTDOWN = (65535, 0)
MED_PER_HOP = 10
UNREACHED_HOPS = (
    9  # the router's edge cannot reach the shard's switch now; told nevertheless, as a last resort
)
MAX_COMMUNITY_AS = 65535


@dataclass(frozen=True, slots=True)
class Preference:
    """How routes to shards of one state are ranked; `mark` is the second half of their community."""

    local_pref: int
    med: int
    mark: int


# A claim is confirmed when its routes are there, and then they do not change again.
PREFERENCE: Mapping[ShardState, Preference] = {
    ShardState.PREFETCHED: Preference(local_pref=200, med=0, mark=100),
    ShardState.CLAIMING: Preference(local_pref=150, med=100, mark=101),
    ShardState.ASSIGNED: Preference(local_pref=150, med=100, mark=101),
    ShardState.DRAINING: Preference(local_pref=0, med=1000, mark=102),
}


def shard_advertisements(
    fabric: Fabric,
    subdivisions: Sequence[Subdivision],
    shards: Iterable[Shard],
    settings: BgpSettings,
    *,
    community_as: int | None = None,
) -> Mapping[str, tuple[Advertisement, ...]]:
    """Address of each peer → its routes: neighbouring shards of one subdivision and rank joined.

    community_as: first half of the communities; default: the local AS, if it has 16 bits, else no communities but
    the well-known one. KeyError if a shard's subdivision is unknown.
    """
    known = {one.name: one for one in subdivisions}
    first = community_as if community_as is not None else settings.local_as
    groups: dict[tuple[str, Preference], list[str]] = defaultdict(list)
    for shard in shards:
        if shard.subdivision is not None and shard.state in PREFERENCE:
            groups[shard.subdivision, PREFERENCE[shard.state]].append(shard.prefix)
    hops = {peer.switch: _hops_from(fabric, peer.switch) for peer in settings.peers}
    return {
        peer.address: tuple(
            route
            for (name, preference), prefixes in sorted(
                groups.items(), key=lambda group: (group[0][0], group[0][1].mark)
            )
            for route in _routes(
                peer,
                fewest(prefixes),
                preference,
                first,
                hops[peer.switch].get(known[name].switch or "", UNREACHED_HOPS)
                if peer.switch is not None
                else 0,
            )
        )
        for peer in settings.peers
    }


def _routes(
    peer: BgpPeer, prefixes: Sequence[str], preference: Preference, first: int, hops: int
) -> Iterable[Advertisement]:
    communities = ((first, preference.mark),) if first <= MAX_COMMUNITY_AS else ()
    if preference is PREFERENCE[ShardState.DRAINING]:
        communities = (*communities, GRACEFUL_SHUTDOWN)
    for prefix in prefixes:
        next_hop = peer.next_hop_ipv6 if ":" in prefix else peer.next_hop
        if next_hop is not None:  # without one, the family is not spoken with this peer
            yield Advertisement(
                prefix,
                next_hop,
                local_pref=preference.local_pref,
                med=preference.med + MED_PER_HOP * hops,
                communities=communities,
            )


def _hops_from(fabric: Fabric, switch: str | None) -> Mapping[str, int]:
    """Links to every switch that can be reached; only spines pass packets on."""
    if switch is None:
        return {}
    neighbours: dict[str, list[str]] = defaultdict(list)
    for link in fabric.links:
        neighbours[link.a.switch].append(link.b.switch)
        neighbours[link.b.switch].append(link.a.switch)
    spines = {one.name for one in fabric.stage(Stage.SPINE)}
    distance = {switch: 0}
    queue = deque([switch])
    while queue:
        name = queue.popleft()
        if name != switch and name not in spines:
            continue
        for peer in neighbours[name]:
            if peer not in distance:
                distance[peer] = distance[name] + 1
                queue.append(peer)
    return distance
