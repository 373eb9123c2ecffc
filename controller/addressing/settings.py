"""The configuration's section `addresses` in the words of the planners and of what carries them out."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.act.router_files.values import Kind, Neighbour, RouterFileError, Umbra
from controller.config import Config
from controller.config.addressing import Addresses, RouterFile, SubdivisionSection
from controller.config.sections import port
from controller.model import Subdivision
from controller.model.bgp import BgpPeer, BgpSettings
from controller.plan.addresses.settings import RangeSettings
from controller.plan.shard_routes import Attachment
from controller.plan.shards.demand import DemandSettings
from controller.plan.shards.profiles import ApplicationProfile
from controller.plan.shards.state import ShardSettings

DEFAULT_PROFILE = "default"
FAMILIES = (4, 6)


class PasswordError(ValueError):
    """A password file cannot be used; the message names it and the remedy, not the password."""


@dataclass(frozen=True, slots=True)
class HostPlace:
    """A host that holds addresses and runs instances, and where it hangs."""

    name: str
    subdivision: str
    switch: str
    port: int
    gateway: str
    agent: Path
    instance_port: int


@dataclass(frozen=True, slots=True)
class FileSettings:
    """A router's configuration file: what of it does not change with the shards."""

    name: str
    kind: Kind
    path: Path
    router_id: str
    local_as: int
    community_as: int
    umbra: Umbra | None
    next_hop: str | None
    next_hop_ipv6: str | None
    neighbours: tuple[Neighbour, ...]
    template: Path | None


def subdivisions(config: Config) -> tuple[Subdivision, ...]:
    """All of them; none without the section."""
    section = config.addresses
    return tuple(
        Subdivision(
            one.name,
            one.prefixes,
            one.site,
            _switch(one),
            one.max_shards,
            one.quota,
            one.external,
        )
        for one in (section.subdivisions if section is not None else ())
    )


def families(subdivision: Subdivision) -> tuple[int, ...]:
    """Of which it has addresses: 4, 6 or both."""
    found = {ipaddress.ip_network(prefix).version for prefix in subdivision.prefixes}
    return tuple(sorted(found))


def hosts(config: Config) -> tuple[HostPlace, ...]:
    """All hosts of all subdivisions."""
    subnets = {switch.name: switch.subnet for switch in config.switches}
    found = []
    for one in config.addresses.subdivisions if config.addresses is not None else ():
        for host in one.hosts:
            at = port(host.port)
            gateway = host.gateway
            if gateway is None:
                gateway = str(ipaddress.IPv4Network(subnets[at.switch] or "")[1])
            found.append(
                HostPlace(
                    host.name,
                    one.name,
                    at.switch,
                    at.number,
                    gateway,
                    Path(host.agent),
                    one.instance_port,
                )
            )
    return tuple(found)


def attachments(section: Addresses) -> tuple[Attachment, ...]:
    """What real routers are reached at."""
    return tuple(
        Attachment(one.prefix, port(one.port).switch, port(one.port).number, one.mac)
        for one in (section.bgp.attachments if section.bgp is not None else ())
    )


def profiles(section: Addresses) -> dict[str, ApplicationProfile]:
    """By name; one named `default` is always there."""
    found = {DEFAULT_PROFILE: ApplicationProfile(DEFAULT_PROFILE)}
    for name, one in section.profiles.items():
        found[name] = ApplicationProfile(
            name, one.cpu_cores, one.memory_mib, one.network_bps, one.network_peak_bps
        )
    return found


def range_settings(section: Addresses) -> RangeSettings:
    """Of the warm ranges."""
    warm = section.warm
    return RangeSettings(
        cycle_s=section.period_s,
        warm_up_s=warm.warm_up_s,
        warm_share=warm.warm_share,
        confidence=warm.confidence,
        at_least=warm.at_least,
        at_most=warm.at_most,
        release_after_s=warm.release_after_s,
        early_s=warm.early_s,
    )


def shard_settings(section: Addresses) -> Mapping[int, ShardSettings]:
    """By family: their shards may differ in size."""
    shards = section.shards
    sizes = {4: shards.ipv4_addresses, 6: shards.ipv6_addresses}
    return {
        family: ShardSettings(
            shard_addresses=sizes[family],
            release_after_s=shards.release_after_s,
            spare_share=shards.spare_share,
            claim_timeout_s=shards.claim_timeout_s,
        )
        for family in FAMILIES
    }


def demand_settings(section: Addresses) -> DemandSettings:
    """Of the demand that shards are assigned for."""
    return DemandSettings(horizon_s=section.shards.horizon_s, confidence=section.shards.confidence)


def bgp_settings(section: Addresses) -> BgpSettings | None:
    """With the passwords of their files. Raises PasswordError; ValueError for what a peer cannot be."""
    bgp = section.bgp
    if bgp is None or not bgp.peers:
        return None
    return BgpSettings(
        local_as=bgp.local_as,
        router_id=bgp.router_id,
        restart_s=bgp.restart_s,
        peers=tuple(
            BgpPeer(
                name=one.name,
                address=one.address,
                remote_as=one.remote_as,
                next_hop=one.next_hop,
                next_hop_ipv6=one.next_hop_ipv6,
                switch=one.switch,
                local_address=one.local_address,
                port=one.port,
                password=password(one.password_file),
                ttl_security=one.ttl_security,
                hops=one.hops,
                hold_s=one.hold_s,
            )
            for one in bgp.peers
        ),
    )


def router_file(section: Addresses, file: RouterFile) -> FileSettings:
    """One router's file. Raises PasswordError; RouterFileError when there is no AS for its communities."""
    bgp, umbra = section.bgp, None
    numbers = (file.community_as, bgp.community_as if bgp else None, bgp.local_as if bgp else None)
    first = next((one for one in numbers if one is not None), None)
    if first is None:
        raise RouterFileError(f"router {file.name}: give community_as")
    if file.umbra is not None:
        umbra = Umbra(
            file.umbra.address,
            file.umbra.remote_as,
            password(file.umbra.password_file),
            file.umbra.ttl_security,
            file.umbra.hops,
        )
    return FileSettings(
        name=file.name,
        kind=Kind(file.kind),
        path=Path(file.path),
        router_id=file.router_id,
        local_as=file.local_as,
        community_as=first,
        umbra=umbra,
        next_hop=file.next_hop,
        next_hop_ipv6=file.next_hop_ipv6,
        neighbours=tuple(
            Neighbour(one.name, one.address, one.remote_as) for one in file.neighbours
        ),
        template=Path(file.template) if file.template is not None else None,
    )


def password(file: str | None) -> str | None:
    """The first line of a password file. Raises PasswordError."""
    if file is None:
        return None
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PasswordError(f"password file {file}: {error}; make it readable for umbra") from None
    if not lines or not lines[0]:
        raise PasswordError(
            f"password file {file} is empty: write the password into its first line"
        )
    return lines[0]


def _switch(one: SubdivisionSection) -> str | None:
    if one.switch is not None or not one.hosts:
        return one.switch
    return port(one.hosts[0].port).switch
