"""Routes → BGP UPDATE messages (RFC 4271, 4.3; RFC 4760), as many prefixes in each as fit."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from os_ken.lib.packet import bgp

from controller.model.bgp import Advertisement

# A message has 4096 bytes; at most 5 of each prefix (17 in IPv6) and 200 of attributes.
PREFIXES_PER_MESSAGE = {4: 700, 6: 200}
FAMILY = {4: bgp.RF_IPv4_UC, 6: bgp.RF_IPv6_UC}


def announcements(
    routes: Iterable[Advertisement], *, local_as: int, external: bool, four_octet_as: bool
) -> Iterator[Any]:
    """Messages that announce the routes; those with equal attributes share messages.

    external: the peer is of another AS. four_octet_as: it understands AS numbers of 32 bits (RFC 6793).
    """
    alike: dict[tuple[Any, ...], list[Advertisement]] = defaultdict(list)
    for route in routes:
        key = (route.version, route.next_hop, route.local_pref, route.med, route.communities)
        alike[key].append(route)
    for (version, *_), group in alike.items():
        attributes = _attributes(group[0], local_as, external, four_octet_as)
        for part in _parts([route.prefix for route in group], PREFIXES_PER_MESSAGE[version]):
            yield _announcement(version, group[0].next_hop, attributes, [_nlri(p) for p in part])


def withdrawals(prefixes: Iterable[str]) -> Iterator[Any]:
    """Messages that withdraw the prefixes."""
    by_version: dict[int, list[str]] = defaultdict(list)
    for prefix in prefixes:
        by_version[ipaddress.ip_network(prefix).version].append(prefix)
    for version, group in by_version.items():
        for part in _parts(group, PREFIXES_PER_MESSAGE[version]):
            nlri = [_nlri(prefix) for prefix in part]
            if version == 4:
                yield bgp.BGPUpdate(withdrawn_routes=nlri)
            else:
                yield bgp.BGPUpdate(path_attributes=[_unreachable(version, nlri)])


def end_of_rib(version: int) -> Any:
    """The marker that ends the first transfer of a session (RFC 4724, 2)."""
    if version == 4:
        return bgp.BGPUpdate()
    return bgp.BGPUpdate(path_attributes=[_unreachable(version, [])])


def _attributes(
    route: Advertisement, local_as: int, external: bool, four_octet_as: bool
) -> list[Any]:
    """All but the next hop, in ascending order of type."""
    path: list[list[int]] = [[local_as]] if external else []
    attributes = [bgp.BGPPathAttributeOrigin(bgp.BGP_ATTR_ORIGIN_IGP)]
    if four_octet_as:
        attributes.append(bgp.BGPPathAttributeAsPath(path, as_pack_str="!I"))
    else:
        short = [[number if number < 1 << 16 else bgp.AS_TRANS for number in part] for part in path]
        attributes.append(bgp.BGPPathAttributeAsPath(short, as_pack_str="!H"))
    attributes.append(bgp.BGPPathAttributeMultiExitDisc(route.med))
    if not external:
        attributes.append(bgp.BGPPathAttributeLocalPref(route.local_pref))
    if route.communities:
        values = [first << 16 | second for first, second in route.communities]
        attributes.append(bgp.BGPPathAttributeCommunities(values))
    if not four_octet_as and external and local_as >= 1 << 16:
        attributes.append(bgp.BGPPathAttributeAs4Path(path))
    return attributes


def _announcement(version: int, next_hop: str, attributes: list[Any], nlri: list[Any]) -> Any:
    if version == 4:
        with_hop = [*attributes[:2], bgp.BGPPathAttributeNextHop(next_hop), *attributes[2:]]
        return bgp.BGPUpdate(path_attributes=with_hop, nlri=nlri)
    family = FAMILY[version]
    reach = bgp.BGPPathAttributeMpReachNLRI(family.afi, family.safi, next_hop, nlri)
    return bgp.BGPUpdate(path_attributes=[reach, *attributes])


def _unreachable(version: int, nlri: list[Any]) -> Any:
    family = FAMILY[version]
    return bgp.BGPPathAttributeMpUnreachNLRI(family.afi, family.safi, nlri)


def _nlri(prefix: str) -> Any:
    network = ipaddress.ip_network(prefix)
    kind = bgp.IPAddrPrefix if network.version == 4 else bgp.IP6AddrPrefix
    return kind(network.prefixlen, str(network.network_address))


def _parts(items: Sequence[str], size: int) -> Iterator[list[str]]:
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part
