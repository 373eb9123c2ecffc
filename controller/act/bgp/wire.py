"""Between the controller and its BGP speaker: one JSON object per line over a Unix socket, one answer each."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from controller.model.bgp import Advertisement, BgpPeer, BgpPeerState, BgpSettings

VERSION = 1  # of this protocol: another one is refused, for the speaker outlives the controller
LINE_LIMIT_BYTES = 64 << 20
ANOTHER_SERVES = 3  # exit code of a speaker whose socket has one already

Routes = Mapping[str, Mapping[str, Advertisement]]  # address of a peer → prefix → route


def settings_to_json(settings: BgpSettings) -> dict[str, Any]:
    """All of it, passwords too: only for the socket, which is its owner's alone."""
    return asdict(settings)


def settings_from_json(data: Mapping[str, Any]) -> BgpSettings:
    """The opposite. TypeError or ValueError if it does not fit."""
    return BgpSettings(**{**data, "peers": tuple(BgpPeer(**peer) for peer in data["peers"])})


def route_to_json(route: Advertisement) -> list[Any]:
    """prefix, next hop, LOCAL_PREF, MED, communities."""
    return [route.prefix, route.next_hop, route.local_pref, route.med, list(route.communities)]


def route_from_json(data: Sequence[Any]) -> Advertisement:
    """The opposite. ValueError if it does not fit."""
    prefix, next_hop, local_pref, med, communities = data
    return Advertisement(
        prefix, next_hop, local_pref, med, tuple((first, second) for first, second in communities)
    )


@lru_cache(maxsize=1 << 17)
def canonical(prefix: str) -> str:
    """One spelling per prefix; ValueError for host bits or nonsense."""
    return str(ipaddress.ip_network(prefix))


def state_to_json(state: BgpPeerState) -> dict[str, Any]:
    """For `read`."""
    return asdict(state)


def state_from_json(data: Mapping[str, Any]) -> BgpPeerState:
    """The opposite."""
    return BgpPeerState(**data)
