"""The section `addresses`: addresses and shards ahead of demand, who holds them, and which routers are told.

Without the section nothing of it runs. What holds between keys is in `addressing_checks`.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from controller.config.fields import (
    Flag,
    Float,
    Int,
    Ipv4,
    Mac,
    Name,
    PortName,
    PowerOfTwo,
    Section,
    Text,
)

MOST_AS = 4294967294
LEAST_SHARD, MOST_SHARD = 4, 1 << 20


def _prefix(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise ValueError(f"write a prefix such as 10.64.0.0/16 or fd00:1::/64 ({error})") from None


def _ipv4_prefix(text: str) -> str:
    try:
        return str(ipaddress.IPv4Network(text))
    except ValueError as error:
        raise ValueError(f"write an IPv4 prefix such as 198.51.100.0/24 ({error})") from None


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("write an address such as 192.0.2.1 or fd00::1") from None


def _ipv6(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise ValueError("write an IPv6 address such as fd00::1") from None


Prefix = Annotated[str, Field(strict=True), AfterValidator(_prefix)]
Ipv4Prefix = Annotated[str, Field(strict=True), AfterValidator(_ipv4_prefix)]
IpAddress = Annotated[str, Field(strict=True), AfterValidator(_address)]
Ipv6 = Annotated[str, Field(strict=True), AfterValidator(_ipv6)]
AsNumber = Annotated[Int, Field(ge=1, le=MOST_AS)]
ShardSize = Annotated[PowerOfTwo, Field(ge=LEAST_SHARD, le=MOST_SHARD)]


class Warm(Section):
    """How many addresses are held ahead. `confidence`: that they last until more are warm; it is steered so that
    `warm_share` of the requests find one.
    """

    confidence: Annotated[Float, Field(ge=0.8, le=0.99999)] = 0.9998
    warm_share: Annotated[Float, Field(gt=0, lt=1)] = 0.994
    at_least: Annotated[Int, Field(ge=0, le=1_000_000)] = 1
    at_most: Annotated[Int, Field(ge=0, le=1_000_000)] = 4096
    warm_up_s: Annotated[Float, Field(ge=0, le=3600)] = 2.0  # until a new shadow instance answers
    release_after_s: Annotated[Float, Field(ge=0, le=86400)] = 60.0  # not needed for so long
    early_s: Annotated[Float, Field(ge=0, le=3600)] = 10.0  # before an announced event begins


class Shards(Section):
    """Of what size shards are, and for which demand: the most within `horizon_s` at `confidence`."""

    ipv4_addresses: ShardSize = 64
    ipv6_addresses: ShardSize = 64
    spare_share: Annotated[Float, Field(ge=0, le=10)] = 0.1
    release_after_s: Annotated[Float, Field(ge=0)] = 7200.0
    claim_timeout_s: Annotated[Float, Field(ge=1, le=3600)] = 30.0  # a claim without routes
    horizon_s: Annotated[Float, Field(ge=1, le=3600)] = 900.0
    confidence: Annotated[Float, Field(gt=0.5, lt=1)] = 0.95


class AddressHost(Section):
    """A host that holds addresses and runs instances: the switch's port that it hangs on, and its agent's socket.

    `gateway`: on its link; the first address of the switch's subnet when absent.
    """

    name: Name
    port: PortName
    agent: Text
    gateway: Ipv4 | None = None


class SubdivisionSection(Section):
    """A part of the network that gets shards.

    `instances`: `agents`, umbra's agents start them (`umbra address take`); `elsewhere`, somebody else does, and
    an address that was taken stays taken until it is released.
    """

    name: Name
    prefixes: Annotated[tuple[Prefix, ...], Field(min_length=1)]
    site: Name = "main"
    switch: Name | None = None  # that its instances hang on; that of its hosts when absent
    hosts: tuple[AddressHost, ...] = ()
    instances: Literal["agents", "elsewhere"] = "agents"
    instance_port: Annotated[Int, Field(ge=1, le=65535)] = 80  # that an agent's instance serves
    max_shards: Annotated[Int, Field(ge=1, le=65536)] = 16
    quota: Annotated[Int, Field(ge=1)] | None = None  # addresses granted at one time
    external: Ipv4Prefix | None = None  # public addresses, one for each internal one


class Profile(Section):
    """What one instance of an application uses."""

    cpu_cores: Annotated[Float, Field(ge=0)] = 1.0
    memory_mib: Annotated[Float, Field(ge=0)] = 1024.0
    network_bps: Annotated[Float, Field(ge=0)] = 10e6
    network_peak_bps: Annotated[Float, Field(ge=0)] = 20e6


class LinuxNat(Section):
    """A Linux host that translates as well. `command`: how nft is called there."""

    command: Annotated[tuple[Text, ...], Field(min_length=1)] = ("nft",)


class Peer(Section):
    """A real router that umbra's BGP speaker dials. `next_hop`: the fabric's address on the router's link;
    `next_hop_ipv6`: another router's, for the fabric forwards IPv4 only.
    """

    name: Name
    address: IpAddress
    remote_as: AsNumber
    next_hop: Ipv4 | None = None
    next_hop_ipv6: Ipv6 | None = None
    switch: Name | None = None  # the edge that it hangs on
    local_address: IpAddress | None = None
    port: Annotated[Int, Field(ge=1, le=65535)] = 179
    password_file: Text | None = None  # TCP MD5 (RFC 2385)
    ttl_security: Flag = True
    hops: Annotated[Int, Field(ge=1, le=254)] = 1
    hold_s: Annotated[Int, Field(ge=10, le=65535)] = 30


class AttachmentSection(Section):
    """What a real router, or another machine, is reached at: prefixes behind a port of a switch."""

    prefix: Ipv4Prefix
    port: PortName
    mac: Mac


class Bgp(Section):
    """umbra in BGP. `run_dir`: where the speaker has its socket and its log; it outlives the controller."""

    local_as: AsNumber
    router_id: Ipv4
    run_dir: Text = "umbra-bgp"
    restart_s: Annotated[Int, Field(ge=1, le=4095)] = 240
    community_as: Annotated[Int, Field(ge=0, le=65535)] | None = None
    peers: tuple[Peer, ...] = ()
    attachments: tuple[AttachmentSection, ...] = ()


class FileSession(Section):
    """A router's session with umbra's speaker, from its side."""

    address: IpAddress
    remote_as: AsNumber
    password_file: Text | None = None
    ttl_security: Flag = True
    hops: Annotated[Int, Field(ge=1, le=254)] = 1


class FileNeighbour(Section):
    """Another router, which this one tells of the shards."""

    name: Name
    address: IpAddress
    remote_as: AsNumber


class RouterFile(Section):
    """The configuration file of a real router: it learns shards from `umbra`, has them in writing (with a
    `next_hop`), or both. `community_as`: default the BGP section's, or its AS.
    """

    name: Name
    kind: Literal["frr", "bird"]
    path: Text
    router_id: Ipv4
    local_as: AsNumber
    community_as: Annotated[Int, Field(ge=0, le=65535)] | None = None
    umbra: FileSession | None = None
    next_hop: Ipv4 | None = None
    next_hop_ipv6: Ipv6 | None = None
    neighbours: tuple[FileNeighbour, ...] = ()
    template: Text | None = None  # Jinja2, instead of umbra's


class Addresses(Section):
    """Addresses ahead of demand. `pool` and `history` are relative to the configuration file."""

    pool: Text = "umbra-addresses.db"
    history: Text = "umbra-instances.db"
    period_s: Annotated[Float, Field(ge=0.2, le=60)] = 2.0
    reconcile_s: Annotated[Float, Field(ge=1, le=600)] = 15.0  # between looks at what runs
    cool_s: Annotated[Float, Field(ge=0, le=86400)] = 30.0  # that a released address is nobody's
    warm: Warm = Warm()
    shards: Shards = Shards()
    subdivisions: Annotated[tuple[SubdivisionSection, ...], Field(min_length=1)]
    profiles: dict[Name, Profile] = Field(default_factory=dict)
    linux_nat: LinuxNat | None = None
    bgp: Bgp | None = None
    router_files: tuple[RouterFile, ...] = ()
