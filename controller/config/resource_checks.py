"""What must hold between the section `resources` and the fabric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

from controller.config import resources
from controller.config.errors import Path, Problem
from controller.config.influx import FILES
from controller.config.resource_devices import DeviceConfig
from controller.config.resources import ResourcesConfig
from controller.config.sections import Config
from controller.model.resources import Policy
from controller.plan.resources.rules import policy_of

RECORD = "umbra-resources"


def resolve(section: Any, base: FilePath) -> None:
    """Make the file names absolute, in place. What has another shape than it should is left to the checks."""
    if not isinstance(section, dict):
        return
    past = section.get("past")
    server = past.get("influxdb") if isinstance(past, dict) else None
    if isinstance(server, dict):
        for key in FILES:
            _absolute(server, key, base)
    record = section.get("record")
    if isinstance(record, dict):
        record.setdefault("path", RECORD)
        _absolute(record, "path", base)


def _absolute(holder: dict[str, Any], key: str, base: FilePath) -> None:
    if isinstance(holder.get(key), str) and holder[key]:
        holder[key] = str(base / FilePath(holder[key]).expanduser())


def missing_files(config: Config) -> list[Problem]:
    """Files that are to be read and do not exist."""
    past = config.resources.past if config.resources is not None else None
    named = {key: getattr(past.influxdb, key) for key in FILES} if past is not None else {}
    return [
        Problem(
            ("resources", "past", "influxdb", key),
            f"there is no file {file}",
            "create it or correct the name",
        )
        for key, file in named.items()
        if file is not None and not FilePath(file).is_file()
    ]


def check(config: Config) -> list[Problem]:
    """Everything that contradicts itself; nothing without the section."""
    section = config.resources
    if section is None:
        return []
    names = [one.name for one in section.devices]
    found = resources.check(section, names) if names else []
    if section.policies and not names:
        what = "there are policies and no device"
        found.append(Problem(("resources", "policies"), what, "add resources.devices"))
    return [*found, *_devices(config, section), *_places(section), *_grid(section)]


def _devices(config: Config, section: ResourcesConfig) -> Iterator[Problem]:
    stages = {switch.name: switch.stage for switch in config.switches}
    primaries = {name: service.name for service in config.services for name in service.routers}
    policies = section.planned()
    taken: dict[str, Path] = {}
    for index, device in enumerate(section.devices):
        place: Path = ("resources", "devices", index)
        yield from _router((*place, "name"), device.name, stages)
        yield from _once((*place, "name"), device.name, taken)
        for position, shadow in enumerate(device.shadows):
            inner: Path = (*place, "shadows", position, "switch")
            yield from _router(inner, shadow.switch, stages)
            yield from _once(inner, shadow.switch, taken)
            if shadow.switch in primaries:
                what = f"{shadow.switch} is a primary of service {primaries[shadow.switch]}"
                remedy = "a shadow is idle until it is needed: take it out of the service's routers"
                yield Problem(inner, what, remedy)
        yield from _sizes(place, device, policies)


def _router(place: Path, name: str, stages: Mapping[str, str]) -> Iterator[Problem]:
    if name not in stages:
        yield Problem(place, f"there is no switch {name}", "add it under switches")
    elif stages[name] != "router":
        yield Problem(place, f"{name} is no router", "name a switch of stage router")


def _once(place: Path, name: str, taken: dict[str, Path]) -> Iterator[Problem]:
    if name in taken:
        holder = Problem(taken[name], "", "").key
        yield Problem(place, f"{name} is named in {holder} already", "name each switch once")
    taken.setdefault(name, place)


def _sizes(place: Path, device: DeviceConfig, policies: tuple[Policy, ...]) -> Iterator[Problem]:
    policy = policy_of(device.name, policies)
    own = [one.name for one in device.shadows]
    if policy is None:
        what = f"no policy matches {device.name}"
        yield Problem((*place, "name"), what, "add one under resources.policies")
        return
    sizes = [one.name for one in policy.shadows]
    for size in sizes:
        if size not in own:
            what = f"policy {policy.name} has a shadow {size}, {device.name} has none of that name"
            yield Problem(
                (*place, "shadows"), what, "add it, or match the device by another policy"
            )
    for position, name in enumerate(own):
        if name not in sizes:
            what = f"policy {policy.name} has no shadow {name}"
            remedy = f"there are {', '.join(sizes)}"
            yield Problem((*place, "shadows", position, "name"), what, remedy)


def _places(section: ResourcesConfig) -> Iterator[Problem]:
    groups: dict[str, Path] = {}
    for index, device in enumerate(section.devices):
        start: Path = ("resources", "devices", index)
        places = [((*start, "place", "group"), device.place)]
        for position, shadow in enumerate(device.shadows):
            places.append(((*start, "shadows", position, "place", "group"), shadow.place))
        for path, place in places:
            parts = place.group.split("/")
            if place.group.startswith("/") or not all(parts) or {".", ".."} & {*parts}:
                what = f"{place.group} is no name of a control group"
                yield Problem(path, what, "write it without leading /, as umbra/r1")
            elif place.group in groups:
                what = f"{place.group} is the group of {Problem(groups[place.group], '', '').key}"
                yield Problem(path, what, "give each switch its own: limits would be shared")
            groups.setdefault(place.group, path)


def _grid(section: ResourcesConfig) -> Iterator[Problem]:
    forecast = section.forecast
    if forecast.horizons_s[0] < forecast.step_s:
        what = f"{forecast.horizons_s[0]:g} s is shorter than a step of {forecast.step_s:g} s"
        remedy = "lower resources.forecast.step_s, or look farther ahead"
        yield Problem(("resources", "forecast", "horizons_s", 0), what, remedy)
