"""What must hold between the sections of a configuration."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from controller.config import addressing_checks, destinations_checks, resource_checks
from controller.config.addresses import is_loopback
from controller.config.errors import Path, Problem
from controller.config.sections import Backend, Client, Config, Switch, port
from controller.config.store_checks import store_problems
from controller.plan.shadows_state import most_primaries

Hosts = list[tuple[str, Sequence[Client | Backend]]]


def check(config: Config) -> list[Problem]:
    """Everything that contradicts itself; empty when the configuration can be used."""
    return [
        *_uniqueness(config),
        *_switches(config),
        *_ports(config),
        *_hosts(config),
        *_services(config),
        *_connected(config),
        *_shadows(config),
        *_failover(config),
        *_events(config),
        *_api(config),
        *addressing_checks.check(config),
        *destinations_checks.check(config),
        *resource_checks.check(config),
        *store_problems(config),
    ]


def _repeated(values: Iterable[tuple[Path, object]], what: str) -> Iterator[Problem]:
    first: dict[object, Path] = {}
    for path, value in values:
        if value in first:
            holder = Problem(first[value], "", "").key
            yield Problem(path, f"{value} is the {what} of {holder} already", "give it its own")
        else:
            first[value] = path


def _uniqueness(config: Config) -> Iterator[Problem]:
    hosts: Hosts = [("clients", config.clients), ("backends", config.backends)]
    names: list[tuple[Path, object]] = []
    macs: list[tuple[Path, object]] = []
    labels: list[tuple[Path, object]] = []
    for index, switch in enumerate(config.switches):
        names.append((("switches", index, "name"), switch.name))
        macs.append((("switches", index, "mac"), switch.mac))
        labels.append((("switches", index, "label"), switch.label))
    for kind, members in hosts:
        for index, host in enumerate(members):
            names.append(((kind, index, "name"), host.name))
            macs.append(((kind, index, "mac"), host.mac))
    for index, backend in enumerate(config.backends):
        labels.append((("backends", index, "label"), backend.label))
    yield from _repeated(names, "name")
    yield from _repeated(macs, "MAC address")
    yield from _repeated(labels, "label")
    yield from _repeated(
        ((("switches", i, "device_id"), s.device_id) for i, s in enumerate(config.switches)),
        "device_id",
    )
    yield from _repeated(
        (((kind, i, "ip"), host.ip) for kind, members in hosts for i, host in enumerate(members)),
        "address",
    )
    services = list(enumerate(config.services))
    yield from _repeated(((("services", i, "id"), s.id) for i, s in services), "id")
    yield from _repeated(((("services", i, "name"), s.name) for i, s in services), "name")
    yield from _repeated(
        ((("services", i, "address"), f"{s.address} {s.protocol}/{s.port}") for i, s in services),
        "address and port",
    )
    events = enumerate(config.forecast.events)
    yield from _repeated(((("forecast", "events", i, "name"), e.name) for i, e in events), "name")


def _switches(config: Config) -> Iterator[Problem]:
    subnets: list[tuple[ipaddress.IPv4Network, str]] = []
    for index, switch in enumerate(config.switches):
        place = ("switches", index)
        if switch.stage == "router":
            yield from _limits(switch, place)
        elif switch.capacity or switch.threshold_available:
            key = "capacity" if switch.capacity else "threshold_available"
            yield Problem(
                (*place, key),
                f"only routers have it, {switch.name} is not one",
                "remove it",
            )
        if switch.tls and (switch.tls.cert_file is None) != (switch.tls.key_file is None):
            yield Problem(
                (*place, "tls"),
                "a client certificate needs both cert_file and key_file",
                "name both or neither",
            )
        if switch.subnet:
            network = ipaddress.IPv4Network(switch.subnet)
            for other, owner in subnets:
                if network.overlaps(other):
                    yield Problem(
                        (*place, "subnet"),
                        f"{network} overlaps {other} of {owner}",
                        "give each switch a prefix of its own",
                    )
                    break
            subnets.append((network, switch.name))


def _limits(switch: Switch, place: Path) -> Iterator[Problem]:
    if switch.capacity == 0:
        yield Problem(
            (*place, "capacity"),
            f"router {switch.name} has no connection capacity",
            "say how many connections it may hold",
        )
    elif switch.threshold_available >= switch.capacity:
        yield Problem(
            (*place, "threshold_available"),
            f"{switch.threshold_available} is not below the capacity of {switch.capacity}",
            "lower it: a breach is fewer available connections than this",
        )
    if switch.capacity > 2 * switch.table_size:
        yield Problem(
            (*place, "capacity"),
            f"the table has only {2 * switch.table_size} places (two ways of {switch.table_size})",
            "raise table_size to the capacity or more",
        )


def _ports(config: Config) -> Iterator[Problem]:
    used: list[tuple[Path, object]] = []
    for index, link in enumerate(config.links):
        used.append((("links", index, "a"), link.a))
        used.append((("links", index, "b"), link.b))
        if port(link.a).switch == port(link.b).switch:
            yield Problem(
                ("links", index),
                f"both ends are on {port(link.a).switch}",
                "join two switches",
            )
    used += [(("clients", i, "port"), host.port) for i, host in enumerate(config.clients)]
    used += [(("backends", i, "port"), host.port) for i, host in enumerate(config.backends)]
    known = {switch.name for switch in config.switches}
    for path, text in used:
        name = port(str(text)).switch
        if name not in known:
            yield Problem(path, f"there is no switch {name}", "add it under switches")
    yield from _repeated(used, "port")


def _hosts(config: Config) -> Iterator[Problem]:
    switches = {switch.name: switch for switch in config.switches}
    hosts: Hosts = [("clients", config.clients), ("backends", config.backends)]
    for kind, members in hosts:
        stage = "edge" if kind == "clients" else "spine"
        for index, host in enumerate(members):
            switch = switches.get(port(host.port).switch)
            if switch is None:
                continue  # reported with the ports
            if switch.stage != stage:
                yield Problem(
                    (kind, index, "port"),
                    f"{switch.name} is {_a(switch.stage)}",
                    f"{kind} hang on {stage} switches",
                )
            if switch.subnet is None:
                yield Problem(
                    (kind, index, "port"),
                    f"{switch.name} has hosts but no subnet",
                    f"give switch {switch.name} a subnet",
                )
                continue
            network = ipaddress.IPv4Network(switch.subnet)
            address = ipaddress.IPv4Address(host.ip)
            if address not in network:
                yield Problem(
                    (kind, index, "ip"),
                    f"{host.ip} is outside {network} of {switch.name}",
                    "take an address of that subnet",
                )
            elif address in (network[0], network[1], network[-1]):
                yield Problem(
                    (kind, index, "ip"),
                    f"{host.ip} is the network, gateway or broadcast address of {network}",
                    f"take one from {network[2]} to {network[-2]}",
                )


def _services(config: Config) -> Iterator[Problem]:
    stages = {switch.name: switch.stage for switch in config.switches}
    backends = {backend.name for backend in config.backends}
    subnets = [(ipaddress.IPv4Network(s.subnet), s.name) for s in config.switches if s.subnet]
    for index, service in enumerate(config.services):
        place = ("services", index)
        address = ipaddress.IPv4Address(service.address)
        for network, owner in subnets:
            if address in network:
                yield Problem(
                    (*place, "address"),
                    f"{address} lies inside the host subnet {network} of {owner}",
                    "take an address outside all host subnets",
                )
        if address.is_multicast or address.is_loopback or address.is_unspecified:
            yield Problem((*place, "address"), f"{address} is no unicast address", "take another")
        for position, name in enumerate(service.routers):
            if name not in stages:
                yield Problem(
                    (*place, "routers", position),
                    f"there is no switch {name}",
                    "name a router",
                )
            elif stages[name] != "router":
                yield Problem(
                    (*place, "routers", position),
                    f"{name} is {_a(stages[name])}",
                    "name a switch of stage router",
                )
        for position, name in enumerate(service.backends):
            if name not in backends:
                yield Problem(
                    (*place, "backends", position),
                    f"there is no backend {name}",
                    "add it under backends",
                )
        yield from _twice((*place, "routers"), service.routers)
        yield from _twice((*place, "backends"), service.backends)


def _twice(path: Path, names: tuple[str, ...]) -> Iterator[Problem]:
    for position, name in enumerate(names):
        if name in names[:position]:
            yield Problem((*path, position), f"{name} is named twice", "name it once")


def _connected(config: Config) -> Iterator[Problem]:
    """Every switch must be reachable from the first over the links."""
    neighbours: dict[str, set[str]] = {switch.name: set() for switch in config.switches}
    for link in config.links:
        a, b = port(link.a).switch, port(link.b).switch
        if a in neighbours and b in neighbours:
            neighbours[a].add(b)
            neighbours[b].add(a)
    start = config.switches[0].name
    reached, waiting = {start}, [start]
    while waiting:
        for name in neighbours[waiting.pop()] - reached:
            reached.add(name)
            waiting.append(name)
    for index, switch in enumerate(config.switches):
        if switch.name not in reached:
            yield Problem(
                ("switches", index, "name"),
                f"no links lead from {start} to {switch.name}",
                "add a link",
            )


def _shadows(config: Config) -> Iterator[Problem]:
    routers = {switch.name for switch in config.switches if switch.stage == "router"}
    for name, shadows in config.shadows.overrides.items():
        place = ("shadows", "overrides", name)
        if name not in routers:
            yield Problem(place, f"there is no router {name}", "name a switch of stage router")
        for position, shadow in enumerate(shadows):
            if shadow not in routers:
                yield Problem(
                    (*place, position),
                    f"there is no router {shadow}",
                    "name a switch of stage router",
                )
            elif shadow == name:
                yield Problem(
                    (*place, position),
                    "a router cannot be its own shadow",
                    "name another",
                )
        yield from _twice(place, shadows)
    yield from _overbooked(config)


def _overbooked(config: Config) -> Iterator[Problem]:
    """A switch knows those that it is a shadow of by numbers, and it has few of them."""
    overrides = config.shadows.overrides
    named: dict[str, list[Path]] = defaultdict(list)
    for name, shadows in overrides.items():
        for position, shadow in enumerate(shadows):
            named[shadow].append(("shadows", "overrides", name, position))
    for shadow, places in named.items():
        own = len(overrides.get(shadow, ())) or config.shadows.per_router
        most = most_primaries(own)
        if len(places) > most:
            yield Problem(
                places[most],
                f"{shadow} is named as the shadow of {len(places)} routers, it can be that of at "
                f"most {most} (with {own} shadows of its own)",
                f"name another for {len(places) - most} of them",
            )


def _failover(config: Config) -> Iterator[Problem]:
    failover = config.failover
    least_ms = 3 * failover.probe_period_ms
    if failover.dead_after_ms < least_ms:
        yield Problem(
            ("failover", "dead_after_ms"),
            f"fewer than three probes fit into {failover.dead_after_ms:g} ms, "
            f"one every {failover.probe_period_ms:g} ms",
            f"wait at least {least_ms:g} ms, or probe more often",
        )
    if failover.confirm_ms > failover.dead_after_ms:
        yield Problem(
            ("failover", "confirm_ms"),
            f"it is longer than dead_after_ms ({failover.dead_after_ms:g} ms)",
            "make it shorter: it is the last part of that time",
        )


def _events(config: Config) -> Iterator[Problem]:
    services = {service.name for service in config.services}
    routers = {switch.name for switch in config.switches if switch.stage == "router"}
    for index, event in enumerate(config.forecast.events):
        place = ("forecast", "events", index)
        if event.end <= event.start:
            yield Problem((*place, "end"), "it ends before it starts", "make end later than start")
        for position, name in enumerate(event.services):
            if name not in services:
                yield Problem(
                    (*place, "services", position),
                    f"there is no service {name}",
                    "name one",
                )
        for position, name in enumerate(event.routers):
            if name not in routers:
                yield Problem(
                    (*place, "routers", position),
                    f"there is no router {name}",
                    "name one",
                )
        known = {one.name for one in config.addresses.subdivisions} if config.addresses else set()
        for position, name in enumerate(event.subdivisions):
            if name not in known:
                yield Problem(
                    (*place, "subdivisions", position),
                    f"there is no subdivision {name}",
                    "name one of addresses.subdivisions",
                )
    if config.forecast.horizons_s[0] < config.cycle.period_s:
        yield Problem(
            ("forecast", "horizons_s", 0),
            f"{config.forecast.horizons_s[0]:g} s is shorter than one cycle",
            f"start at cycle.period_s ({config.cycle.period_s:g} s) or later",
        )


def _api(config: Config) -> Iterator[Problem]:
    if not is_loopback(config.api.host) and config.api.token_file is None:
        yield Problem(
            ("api", "host"),
            f"{config.api.host} can be reached from other machines and no token is asked for",
            "set api.token_file, or listen on 127.0.0.1",
        )


def _a(stage: str) -> str:
    return f"an {stage}" if stage[0] in "aeiou" else f"a {stage}"
