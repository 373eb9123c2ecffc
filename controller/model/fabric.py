"""What the fabric is made of: switches in three stages, links, hosts and services."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """Place of a switch in the three-stage fabric (seed 9807645: third, second and first stage)."""

    EDGE = "edge"
    SPINE = "spine"
    ROUTER = "router"


@dataclass(frozen=True, slots=True)
class Tls:
    """Files for a TLS connection to a switch; the client pair is sent when the switch asks for one."""

    ca_file: str
    cert_file: str | None = None
    key_file: str | None = None


@dataclass(frozen=True, slots=True)
class Switch:
    """One P4 switch. `label` is its node SID and, at edges, the binding that names it."""

    name: str
    stage: Stage
    device_id: int
    address: str  # host:port of its P4Runtime server
    label: int  # 16..4095
    mac: str
    site: str = "main"
    failure_domain: str | None = None  # what fails together: a rack, a power feed; None: its site
    subnet: str | None = None  # prefix of the hosts attached here; the first address is the gateway
    capacity: int = 0  # connections; 0 = no limit (only routers have one)
    threshold_available: int = 0  # breach: fewer available connections than this
    table_size: int = 4096  # entries per way, a power of two
    tls: Tls | None = None

    @property
    def domain(self) -> str:
        """Its failure domain."""
        return self.failure_domain or self.site


@dataclass(frozen=True, slots=True)
class Port:
    """One end of a link."""

    switch: str
    number: int


@dataclass(frozen=True, slots=True)
class Link:
    """A cable between two switches; `delay_ms` is one way."""

    a: Port
    b: Port
    delay_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Client:
    """A host that opens connections (or any host that is no backend)."""

    name: str
    port: Port
    ip: str
    mac: str


@dataclass(frozen=True, slots=True)
class Backend:
    """A host that serves; `label` is what a service router binds a connection to."""

    name: str
    port: Port
    ip: str
    mac: str
    label: int


@dataclass(frozen=True, slots=True)
class Service:
    """A service address (DI) and who serves it. `id` is 1..255 and never reused for another service."""

    id: int
    name: str
    address: str
    protocol: str  # "tcp" or "udp"
    port: int
    routers: tuple[str, ...]
    backends: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fabric:
    """The whole fabric as configured."""

    switches: tuple[Switch, ...]
    links: tuple[Link, ...]
    clients: tuple[Client, ...]
    backends: tuple[Backend, ...]
    services: tuple[Service, ...]

    def stage(self, stage: Stage) -> tuple[Switch, ...]:
        """Switches of one stage, in configured order."""
        return tuple(switch for switch in self.switches if switch.stage is stage)

    @property
    def hosts(self) -> tuple[Client | Backend, ...]:
        """Everything that hangs on a switch's port, clients first."""
        return (*self.clients, *self.backends)

    def switch(self, name: str) -> Switch:
        """The switch of that name; KeyError if there is none."""
        for switch in self.switches:
            if switch.name == name:
                return switch
        raise KeyError(name)

    def backend(self, name: str) -> Backend:
        """The backend of that name; KeyError if there is none."""
        for backend in self.backends:
            if backend.name == name:
                return backend
        raise KeyError(name)
