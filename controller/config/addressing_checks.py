"""What must hold within the section `addresses`, and between it and the fabric."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from controller.config.addressing import Addresses, Bgp, SubdivisionSection
from controller.config.errors import Path, Problem

if TYPE_CHECKING:
    from controller.config.sections import Config

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
SOCKET_PATH_LIMIT = 107  # bytes, unix(7)
SOCKET_NAME_LIMIT = (
    80  # bytes: agents are reached through an open folder (controller.act.unix_paths)
)
ROOT: Path = ("addresses",)


def check(config: Config) -> Iterator[Problem]:
    """Everything that contradicts itself; nothing when there is no such section."""
    section = config.addresses
    if section is None:
        return
    yield from _warm(section)
    yield from _names(section)
    yield from _space(config, section)
    for index, subdivision in enumerate(section.subdivisions):
        place: Path = (*ROOT, "subdivisions", index)
        yield from _hosts(config, subdivision, place)
        yield from _external(subdivision, place)
        yield from _size(section, subdivision, place)
    for name, profile in section.profiles.items():
        if profile.network_peak_bps < profile.network_bps:
            yield Problem(
                (*ROOT, "profiles", name, "network_peak_bps"),
                f"{profile.network_peak_bps:g} is below network_bps ({profile.network_bps:g})",
                "give the peak, which is at least the mean",
            )
    if section.bgp is not None:
        yield from _bgp(config, section.bgp)
    yield from _router_files(section)


def missing_files(config: Config) -> Iterator[Problem]:
    """Files that are to be read and do not exist."""
    for path, file in _read_files(config.addresses):
        if not FilePath(file).is_file():
            yield Problem(path, f"there is no file {file}", "create it or correct the name")


def _read_files(section: Addresses | None) -> Iterator[tuple[Path, str]]:
    if section is None:
        return
    for index, peer in enumerate(section.bgp.peers if section.bgp else ()):
        if peer.password_file is not None:
            yield (*ROOT, "bgp", "peers", index, "password_file"), peer.password_file
    for index, file in enumerate(section.router_files):
        place: Path = (*ROOT, "router_files", index)
        if file.template is not None:
            yield (*place, "template"), file.template
        if file.umbra is not None and file.umbra.password_file is not None:
            yield (*place, "umbra", "password_file"), file.umbra.password_file


def _warm(section: Addresses) -> Iterator[Problem]:
    warm = section.warm
    if warm.at_least > warm.at_most:
        yield Problem(
            (*ROOT, "warm", "at_least"),
            f"{warm.at_least} is more than at_most ({warm.at_most})",
            "lower it, or raise at_most",
        )
    if section.reconcile_s < section.period_s:
        yield Problem(
            (*ROOT, "reconcile_s"),
            f"{section.reconcile_s:g} s is shorter than one period ({section.period_s:g} s)",
            "make it period_s or longer",
        )


def _names(section: Addresses) -> Iterator[Problem]:
    seen: dict[tuple[str, str], Path] = {}
    files = [(i, one) for i, one in enumerate(section.router_files)]
    named: list[tuple[str, str, Path]] = [
        *(("path", one.path, (*ROOT, "router_files", i, "path")) for i, one in files),
        *(("router", one.name, (*ROOT, "router_files", i, "name")) for i, one in files),
    ]
    for index, subdivision in enumerate(section.subdivisions):
        place: Path = (*ROOT, "subdivisions", index)
        named.append(("subdivision", subdivision.name, (*place, "name")))
        for number, host in enumerate(subdivision.hosts):
            at: Path = (*place, "hosts", number)
            named += [
                ("host", host.name, (*at, "name")),
                ("agent", host.agent, (*at, "agent")),
                ("port", host.port, (*at, "port")),
            ]
    for kind, name, path in named:
        if (kind, name) in seen:
            holder = Problem(seen[kind, name], "", "").key
            yield Problem(path, f"{name} is at {holder} already", "give it its own")
        else:
            seen[kind, name] = path


def _space(config: Config, section: Addresses) -> Iterator[Problem]:
    """Every prefix is one subdivision's, and nobody else's."""
    taken: list[tuple[Network, str]] = [
        (ipaddress.ip_network(switch.subnet), f"the subnet of {switch.name}")
        for switch in config.switches
        if switch.subnet
    ]
    taken += [
        (ipaddress.ip_network(service.address), f"the address of service {service.name}")
        for service in config.services
    ]
    for index, one in enumerate(section.subdivisions):
        place: Path = (*ROOT, "subdivisions", index)
        own: list[tuple[Path, str, str]] = [
            ((*place, "prefixes", number), prefix, f"a prefix of {one.name}")
            for number, prefix in enumerate(one.prefixes)
        ]
        if one.external is not None:
            own.append(((*place, "external"), one.external, f"the external prefix of {one.name}"))
        for path, prefix, what in own:
            network = ipaddress.ip_network(prefix)
            for other, whose in taken:
                if network.version == other.version and network.overlaps(other):
                    yield Problem(
                        path, f"{network} overlaps {other}, {whose}", "give each its own addresses"
                    )
                    break
            taken.append((network, what))


def _hosts(config: Config, subdivision: SubdivisionSection, place: Path) -> Iterator[Problem]:
    switches = {switch.name: switch for switch in config.switches}
    linked = {end for link in config.links for end in (link.a, link.b)}
    homes = {subdivision.switch} if subdivision.switch is not None else set()
    if subdivision.switch is not None and subdivision.switch not in switches:
        yield Problem(
            (*place, "switch"), f"there is no switch {subdivision.switch}", "add it under switches"
        )
    for number, host in enumerate(subdivision.hosts):
        at: Path = (*place, "hosts", number)
        name = host.port.split(":")[0]
        yield from _port(host.port, switches.keys(), linked, (*at, "port"))
        if name not in switches:
            continue
        if homes and name not in homes:
            yield Problem(
                (*at, "port"),
                f"{host.name} hangs on {name}, {subdivision.name} on {sorted(homes)[0]}",
                "a subdivision's hosts hang on one switch: make it a subdivision of its own",
            )
        homes.add(name)
        if host.gateway is None and switches[name].subnet is None:
            yield Problem(
                (*at, "gateway"),
                f"{name} has no subnet, so {host.name} has no gateway",
                f"name one, or give switch {name} a subnet",
            )
        if len(FilePath(host.agent).name.encode()) > SOCKET_NAME_LIMIT:
            yield Problem(
                (*at, "agent"),
                f"the name of {host.agent} is too long for a Unix socket ({SOCKET_NAME_LIMIT} bytes)",
                "choose a shorter one",
            )
    internal = any(ipaddress.ip_network(prefix).version == 4 for prefix in subdivision.prefixes)
    if internal and not homes:
        yield Problem(
            (*place, "hosts"),
            f"{subdivision.name} has IPv4 addresses, and nothing that they hang on",
            "name its hosts, or its switch",
        )
    if internal and subdivision.instances == "agents" and not subdivision.hosts:
        yield Problem(
            (*place, "instances"),
            f"{subdivision.name} has no hosts whose agents could start instances",
            "name its hosts, or write `instances: elsewhere`",
        )
    for number, prefix in enumerate(subdivision.prefixes):
        if ipaddress.ip_network(prefix).version == 6 and subdivision.instances == "agents":
            yield Problem(
                (*place, "prefixes", number),
                f"{prefix} is IPv6: umbra's agents, switches and NAT carry IPv4, so no instance would be reached there",
                "give it to a subdivision with `instances: elsewhere`, whose hosts other routers reach by IPv6",
            )


def _port(text: str, switches: object, linked: set[str], path: Path) -> Iterator[Problem]:
    name = text.split(":")[0]
    if name not in switches:  # type: ignore[operator]
        yield Problem(path, f"there is no switch {name}", "add it under switches")
    elif text in linked:
        yield Problem(path, f"a link uses port {text}", "name the port of the host")


def _external(subdivision: SubdivisionSection, place: Path) -> Iterator[Problem]:
    if subdivision.external is None:
        return
    internal = [ipaddress.ip_network(prefix) for prefix in subdivision.prefixes]
    count = sum(one.num_addresses for one in internal if one.version == 4)
    public = ipaddress.IPv4Network(subdivision.external)
    if not subdivision.hosts:
        yield Problem(
            (*place, "external"),
            f"{subdivision.name} has no hosts, so nothing of it is translated",
            "name its hosts, or remove it",
        )
    if count == 0:
        yield Problem(
            (*place, "external"),
            f"{subdivision.name} has no IPv4 addresses to translate",
            "remove it, or add an IPv4 prefix",
        )
    elif count > public.num_addresses:
        yield Problem(
            (*place, "external"),
            f"{public} has {public.num_addresses} addresses for {count} internal ones",
            "translation is 1:1: give a prefix with as many",
        )


def _size(section: Addresses, subdivision: SubdivisionSection, place: Path) -> Iterator[Problem]:
    sizes = {4: section.shards.ipv4_addresses, 6: section.shards.ipv6_addresses}
    for number, prefix in enumerate(subdivision.prefixes):
        network = ipaddress.ip_network(prefix)
        if network.num_addresses < sizes[network.version]:
            yield Problem(
                (*place, "prefixes", number),
                f"{network} has {network.num_addresses} addresses, a shard has {sizes[network.version]}",
                f"give a larger prefix, or lower shards.ipv{network.version}_addresses",
            )


def _bgp(config: Config, bgp: Bgp) -> Iterator[Problem]:
    place: Path = (*ROOT, "bgp")
    switches = {switch.name: switch for switch in config.switches}
    socket = os.path.join(bgp.run_dir, "bgp.sock")
    if len(socket.encode()) > SOCKET_PATH_LIMIT:
        yield Problem(
            (*place, "run_dir"),
            f"{socket} is too long for a Unix socket ({SOCKET_PATH_LIMIT} bytes)",
            "choose another directory",
        )
    seen: dict[str, int] = {}
    for index, peer in enumerate(bgp.peers):
        at: Path = (*place, "peers", index)
        for key in (peer.name, peer.address):
            if seen.setdefault(key, index) != index:
                yield Problem(at, f"{key} is peer {seen[key]} already", "give each its own")
        if peer.next_hop is None and peer.next_hop_ipv6 is None:
            yield Problem(
                (*at, "next_hop"),
                f"{peer.name} would be told no route: it has no next hop",
                "give next_hop, next_hop_ipv6 or both",
            )
        if peer.switch is not None and peer.switch not in switches:
            yield Problem(
                (*at, "switch"), f"there is no switch {peer.switch}", "name the edge it hangs on"
            )
        local, family = peer.local_address, ipaddress.ip_address(peer.address).version
        if local is not None and ipaddress.ip_address(local).version != family:
            yield Problem(
                (*at, "local_address"),
                f"{local} is not of IPv{family}, as {peer.address} is",
                "give an address of the same family",
            )
    linked = {end for link in config.links for end in (link.a, link.b)}
    prefixes: set[str] = set()
    for index, one in enumerate(bgp.attachments):
        at = (*place, "attachments", index)
        yield from _port(one.port, switches.keys(), linked, (*at, "port"))
        if one.prefix in prefixes:
            yield Problem((*at, "prefix"), f"{one.prefix} is attached twice", "attach it once")
        prefixes.add(one.prefix)


def _router_files(section: Addresses) -> Iterator[Problem]:
    for index, file in enumerate(section.router_files):
        place: Path = (*ROOT, "router_files", index)
        if file.umbra is None and file.next_hop is None and file.next_hop_ipv6 is None:
            yield Problem(
                place,
                f"{file.name} would neither learn shards nor have them in writing",
                "give `umbra` (a session), next_hop, or both",
            )
        own = section.bgp
        numbers = (file.community_as, own.community_as if own else None, own.local_as if own else 0)
        first = next((one for one in numbers if one is not None), 0)
        if not 0 < first <= 65535:
            yield Problem(
                (*place, "community_as"),
                f"{file.name} has no AS of 16 bits for the communities",
                "give community_as",
            )
