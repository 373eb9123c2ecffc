"""Three-stage Clos fabrics as umbra configurations: pure, and the same numbers give the same fabric
every time.

Stages as in seed 9807645: edges (third stage) take the clients' traffic, spines (second stage)
carry it, service routers (first stage) hold the connections. Routers hang on every spine of their
site, backends on one spine each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FIRST_HOST_PORT = 101  # below are the ports of the fabric's links
FIRST_HOST_ADDRESS = 10  # last byte
MAX_SUBNETS = 255  # edges, and spines: one /24 each
MAX_HOSTS_PER_SWITCH = 200
MAX_LABEL = 4095


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """One service address. `routers` are the primaries; `backends` empty means all backends of the
    primaries' sites.
    """

    name: str
    port: int = 80
    protocol: str = "tcp"
    routers: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClosSpec:
    """How large the fabric is. Counts of switches and hosts are per site; ports are TCP ports on
    loopback.
    """

    edges: int = 2
    spines: int = 2
    routers: int = 3
    backends: int = 4
    clients: int = 4
    sites: int = 1
    capacity: int = 400  # connections per router
    threshold: int = 100  # breach: fewer available connections than this
    inter_site_delay_ms: float = 10.0
    services: tuple[ServiceSpec, ...] | None = None  # default: one per router, which is its primary
    base_port: int = 50000  # P4Runtime of device N listens on base_port + N
    table_size: int = 4096
    settings: Mapping[str, Any] = field(
        default_factory=dict
    )  # further top-level sections of the configuration

    def __post_init__(self) -> None:
        for name in ("edges", "spines", "routers", "backends", "clients", "sites"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: a fabric needs at least 1")
        for name in ("edges", "spines"):
            if getattr(self, name) * self.sites > MAX_SUBNETS:
                raise ValueError(
                    f"{name} x sites exceeds {MAX_SUBNETS}: there is one /24 for each; use fewer"
                )
        if self.backends > MAX_HOSTS_PER_SWITCH * self.spines:
            raise ValueError(
                f"{self.backends} backends do not fit on {self.spines} spines; add spines"
            )
        if self.clients > MAX_HOSTS_PER_SWITCH * self.edges:
            raise ValueError(f"{self.clients} clients do not fit on {self.edges} edges; add edges")
        if self.edges + self.routers + self.spines * (self.sites - 1) >= FIRST_HOST_PORT:
            raise ValueError(
                f"a spine would need {FIRST_HOST_PORT} or more ports for its links; use fewer switches per site"
            )


def site_name(number: int, sites: int) -> str:
    """`main` for a single site, else `site1`, `site2`, ..."""
    return "main" if sites == 1 else f"site{number}"


def _mac(kind: int, number: int) -> str:
    return f"02:00:00:{kind:02x}:{number >> 8:02x}:{number & 255:02x}"


def _next_hundred(number: int) -> int:
    return (number // 100 + 1) * 100


class _Ports:
    """Next free port number per switch, for links and for hosts."""

    def __init__(self) -> None:
        self._links: dict[str, int] = {}
        self._hosts: dict[str, int] = {}

    def link(self, switch: str) -> str:
        self._links[switch] = self._links.get(switch, 0) + 1
        return f"{switch}:{self._links[switch]}"

    def host(self, switch: str) -> tuple[str, int]:
        index = self._hosts.get(switch, 0)
        self._hosts[switch] = index + 1
        return f"{switch}:{FIRST_HOST_PORT + index}", index


def _switches(spec: ClosSpec) -> list[dict[str, Any]]:
    switches: list[dict[str, Any]] = []
    device_id = 0
    label = 100
    for kind, (stage, letter, per_site) in enumerate(
        (("edge", "e", spec.edges), ("spine", "s", spec.spines), ("router", "r", spec.routers)),
        start=1,
    ):
        for number in range(1, per_site * spec.sites + 1):
            device_id += 1
            switch: dict[str, Any] = {
                "name": f"{letter}{number}",
                "stage": stage,
                "device_id": device_id,
                "address": f"127.0.0.1:{spec.base_port + device_id}",
                "label": label + number,
                "mac": _mac(kind, number),
                "site": site_name((number - 1) // per_site + 1, spec.sites),
                "table_size": spec.table_size,
            }
            if stage == "router":
                switch |= {"capacity": spec.capacity, "threshold_available": spec.threshold}
            else:
                switch["subnet"] = f"10.{kind}.{number}.0/24"
            switches.append(switch)
        label = _next_hundred(label + per_site * spec.sites)
    return switches


def _of(switches: Sequence[Mapping[str, Any]], stage: str, site: str) -> list[Mapping[str, Any]]:
    return [switch for switch in switches if switch["stage"] == stage and switch["site"] == site]


def _links(
    spec: ClosSpec, switches: Sequence[Mapping[str, Any]], ports: _Ports
) -> list[dict[str, Any]]:
    links: list[dict[str, Any]] = []
    names = [site_name(number, spec.sites) for number in range(1, spec.sites + 1)]
    for site in names:
        for stage in ("edge", "router"):
            for switch in _of(switches, stage, site):
                for spine in _of(switches, "spine", site):
                    links.append(
                        {
                            "a": ports.link(switch["name"]),
                            "b": ports.link(spine["name"]),
                            "delay_ms": 0.0,
                        }
                    )
    for index, site in enumerate(names):
        for other in names[index + 1 :]:
            for a in _of(switches, "spine", site):
                for b in _of(switches, "spine", other):
                    links.append(
                        {
                            "a": ports.link(a["name"]),
                            "b": ports.link(b["name"]),
                            "delay_ms": spec.inter_site_delay_ms,
                        }
                    )
    return links


def _hosts(
    letter: str,
    kind: int,
    stage: str,
    per_site: int,
    spec: ClosSpec,
    switches: Sequence[Mapping[str, Any]],
    ports: _Ports,
) -> list[dict[str, Any]]:
    hosts: list[dict[str, Any]] = []
    for number in range(1, per_site * spec.sites + 1):
        site = site_name((number - 1) // per_site + 1, spec.sites)
        homes = _of(switches, stage, site)
        home = homes[(number - 1) % per_site % len(homes)]
        port, index = ports.host(home["name"])
        network = home["subnet"].rsplit(".", 1)[0]
        hosts.append(
            {
                "name": f"{letter}{number}",
                "port": port,
                "ip": f"{network}.{FIRST_HOST_ADDRESS + index}",
                "mac": _mac(kind, number),
            }
        )
    return hosts


def _services(
    spec: ClosSpec, switches: Sequence[Mapping[str, Any]], backends: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    routers = [switch for switch in switches if switch["stage"] == "router"]
    wanted = spec.services
    if wanted is None:
        wanted = tuple(
            ServiceSpec(f"service{n}", routers=(router["name"],))
            for n, router in enumerate(routers, 1)
        )
    if len(wanted) > 255:
        raise ValueError(f"{len(wanted)} services: ids are 1..255; use fewer")
    site_of = {switch["name"]: switch["site"] for switch in switches}
    services: list[dict[str, Any]] = []
    for number, service in enumerate(wanted, start=1):
        primaries = service.routers or (routers[(number - 1) % len(routers)]["name"],)
        unknown = [name for name in primaries if name not in site_of]
        if unknown:
            raise ValueError(
                f"service {service.name}: no router {unknown[0]}; there are r1..r{len(routers)}"
            )
        sites = {site_of[name] for name in primaries}
        servers = service.backends or tuple(
            backend["name"]
            for backend in backends
            if site_of[backend["port"].split(":")[0]] in sites
        )
        services.append(
            {
                "id": number,
                "name": service.name,
                "address": f"10.100.0.{number}",
                "protocol": service.protocol,
                "port": service.port,
                "routers": list(primaries),
                "backends": list(servers),
            }
        )
    return services


def configuration(spec: ClosSpec) -> dict[str, Any]:
    """The controller's configuration of this fabric, as plain values ready for YAML."""
    ports = _Ports()
    switches = _switches(spec)
    links = _links(spec, switches, ports)
    clients = _hosts("c", 0x11, "edge", spec.clients, spec, switches, ports)
    backends = _hosts("b", 0x12, "spine", spec.backends, spec, switches, ports)
    first_label = _next_hundred(max(switch["label"] for switch in switches))
    for number, backend in enumerate(backends, start=1):
        backend["label"] = first_label + number
    last = max(backend["label"] for backend in backends)
    if last > MAX_LABEL:
        raise ValueError(
            f"the fabric needs labels up to {last}; there are {MAX_LABEL}. Use fewer switches or backends"
        )
    config: dict[str, Any] = {"umbra": 1, **spec.settings}
    config |= {
        "switches": switches,
        "links": links,
        "clients": clients,
        "backends": backends,
        "services": _services(spec, switches, backends),
    }
    return config
