"""The calendar files that a configuration names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.config.errors import Problem
from controller.config.sections import Config

if TYPE_CHECKING:
    from ml.calendars.events import PlannedEvent
    from ml.calendars.file import Naming, Window


def naming(config: Config) -> Naming:
    """What an event can concern. One for a service concerns the routers that are its primaries."""
    found: dict[str, dict[str, tuple[str, ...]]] = {
        "services": {service.name: tuple(service.routers) for service in config.services},
        "routers": {s.name: (s.name,) for s in config.switches if s.stage == "router"},
    }
    if config.addresses is not None:
        names = [one.name for one in config.addresses.subdivisions]
        own = [*names, *(f"{name}:bandwidth" for name in names)]  # the latter creates no instance
        found["subdivisions"] = {name: (name,) for name in own}
    return found


def read(config: Config, window: Window) -> tuple[PlannedEvent, ...]:
    """The events of all calendar files within the window. Raises CalendarError for the first file that
    cannot be used.
    """
    from ml.calendars import (
        reader as calendars,  # brings the models: most configurations name no calendar
    )

    names, zone = naming(config), config.forecast.calendar_zone
    return tuple(
        event
        for file in config.forecast.calendars
        for event in calendars.read(file, window, zone=zone, naming=names)
    )


def problems(config: Config, now_s: float) -> list[Problem]:
    """What is wrong with the calendar files, as seen now (Unix time)."""
    if not config.forecast.calendars:
        return []
    from ml.calendars import reader as calendars
    from ml.calendars.file import CalendarError, Window

    found: list[Problem] = []
    names, zone = naming(config), config.forecast.calendar_zone
    for index, file in enumerate(config.forecast.calendars):
        try:
            calendars.read(file, Window.around(now_s), zone=zone, naming=names)
        except CalendarError as error:
            for problem in error.problems:
                place = f"{file}:{problem.line}" if problem.line else file
                key = f"{problem.key}: " if problem.key else ""
                path = ("forecast", "calendars", index)
                found.append(Problem(path, f"{place}: {key}{problem.what}", problem.remedy))
    return found
