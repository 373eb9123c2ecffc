"""What the emulator needs of a configuration: processes, interfaces, cables and hosts. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PREFIX = "um-"  # of every interface that the emulation makes
THRIFT_OFFSET = 20000  # BMv2's debugging port, below the P4Runtime port


@dataclass(frozen=True, slots=True)
class SwitchWiring:
    """One switch process: its P4Runtime address and the interface of each port."""

    name: str
    device_id: int
    grpc_host: str
    grpc_port: int
    thrift_port: int
    interfaces: tuple[tuple[int, str], ...]  # (port, interface)


@dataclass(frozen=True, slots=True)
class HostWiring:
    """One host: where it is plugged in, and its addresses. `services` are served addresses (none
    for a client).
    """

    name: str
    switch: str
    port: int
    interface: str
    switch_interface: str
    ip: str
    prefix_len: int
    gateway: str
    mac: str
    services: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cable:
    """One link between two switches; `delay_ms` is one way."""

    a: str
    a_port: int
    a_interface: str
    b: str
    b_port: int
    b_interface: str
    delay_ms: float


@dataclass(frozen=True, slots=True)
class Wiring:
    """The whole fabric as the emulator builds it."""

    switches: tuple[SwitchWiring, ...]
    cables: tuple[Cable, ...]
    hosts: tuple[HostWiring, ...]

    def switch(self, name: str) -> SwitchWiring:
        """The switch of that name; KeyError if there is none."""
        for switch in self.switches:
            if switch.name == name:
                return switch
        raise KeyError(name)

    def host(self, name: str) -> HostWiring:
        """The host of that name; KeyError if there is none."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise KeyError(name)


def interface(node: str, port: int) -> str:
    """Name of a node's interface: at most 15 characters, as the kernel wants."""
    name = f"{PREFIX}{node}-{port}"
    if len(name) > 15:
        raise ValueError(
            f"interface name {name} is longer than 15 characters: use a shorter name than {node}"
        )
    return name


def _split(end: str) -> tuple[str, int]:
    node, _, port = end.partition(":")
    return node, int(port)


def wire(config: Mapping[str, Any]) -> Wiring:
    """Wiring of a valid configuration (plain values, as `clos.configuration` gives them)."""
    ports: dict[str, dict[int, str]] = {switch["name"]: {} for switch in config["switches"]}
    subnets = {switch["name"]: switch.get("subnet") for switch in config["switches"]}

    def plug(end: str) -> tuple[str, int, str]:
        node, port = _split(end)
        if node not in ports:
            raise ValueError(f"{end}: there is no switch {node}")
        if port in ports[node]:
            raise ValueError(f"{end}: the port is used twice")
        ports[node][port] = interface(node, port)
        return node, port, ports[node][port]

    cables = tuple(
        Cable(*plug(link["a"]), *plug(link["b"]), float(link.get("delay_ms", 0.0)))
        for link in config["links"]
    )
    served: dict[str, list[str]] = {}
    for service in config["services"]:
        for backend in service["backends"]:
            addresses = served.setdefault(backend, [])
            if service["address"] not in addresses:
                addresses.append(service["address"])

    def host(entry: Mapping[str, Any]) -> HostWiring:
        switch, port, switch_interface = plug(entry["port"])
        subnet = subnets[switch]
        if subnet is None:
            raise ValueError(f"{entry['name']}: switch {switch} has no subnet for hosts")
        network = ipaddress.ip_network(subnet)
        return HostWiring(
            name=entry["name"],
            switch=switch,
            port=port,
            interface=interface(entry["name"], 0),
            switch_interface=switch_interface,
            ip=entry["ip"],
            prefix_len=network.prefixlen,
            gateway=str(network[1]),
            mac=entry["mac"],
            services=tuple(served.get(entry["name"], ())),
        )

    hosts = tuple(host(entry) for entry in (*config["clients"], *config["backends"]))
    switches = []
    for switch in config["switches"]:
        grpc_host, _, grpc_port = switch["address"].rpartition(":")
        switches.append(
            SwitchWiring(
                name=switch["name"],
                device_id=switch["device_id"],
                grpc_host=grpc_host,
                grpc_port=int(grpc_port),
                thrift_port=int(grpc_port) - THRIFT_OFFSET,
                interfaces=tuple(sorted(ports[switch["name"]].items())),
            )
        )
    return Wiring(tuple(switches), cables, hosts)
