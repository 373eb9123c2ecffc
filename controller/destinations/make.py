"""Configuration → destination shadowing with its parts; None when there is no section `destinations`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Protocol

from controller.config import Config
from controller.config.destinations import GraphSection
from controller.destinations import settings, traffic
from controller.destinations.demand import DestinationDemand
from controller.destinations.errors import DestinationError
from controller.destinations.foresight import DestinationForesight
from controller.destinations.graphing import Graphing
from controller.destinations.latency import SiteLatencies
from controller.destinations.manager import DestinationManager
from controller.destinations.memory import DestinationMemory
from controller.destinations.places import Places
from controller.destinations.planning import Rules
from controller.destinations.rows import RedirectRows
from controller.destinations.sight import Loop, Sight
from controller.destinations.steps import DestinationSteps
from controller.graph.interface import GraphStore
from controller.graph.stores import open_graph
from controller.layer_writer import LayerDriver
from controller.model import Fabric, Stage
from controller.observe.access import AccessHistory
from controller.observe.geo_database import GeoDatabase, GeoDatabaseError
from controller.plan.paths import site_round_trips_ms
from controller.plan.routes_state import RoutesState
from controller.predict import planned_events
from controller.trouble import Troubles


class Driver(LayerDriver, traffic.Driver, Protocol):
    """What is needed of the fabric driver."""


def make(
    config: Config,
    fabric: Fabric,
    driver: Driver,
    loop: Loop,
    gone: Callable[[], Collection[str]],
    recorder: Any,
    troubles: Troubles,
    clock: Callable[[], float],
    dry: Callable[[], bool],
    routes: Callable[[], RoutesState],
    *,
    connect: Callable[[GraphSection], GraphStore] = open_graph,
) -> DestinationManager | None:
    """gone: routers that serve nobody. recorder: `controller.recorder.Recorder`.

    routes: how shares of routers are shifted now. Raises DestinationError.
    """
    section = config.destinations
    if section is None:
        return None
    places = settings.locations(section)
    try:
        database = None
        if section.geo_database is not None:
            database = GeoDatabase(Path(section.geo_database), settings.areas(section))
        where = Places(places, database, troubles)
    except (GeoDatabaseError, ValueError) as error:
        raise DestinationError(str(error)) from error
    rules = Rules(
        settings.destinations(config, section),
        settings.copy_routers(config, section),
        settings.placement_settings(section),
        settings.redirect_settings(section),
    )
    between_ms = site_round_trips_ms(fabric) | {
        frozenset((one.a, one.b)): one.round_trip_ms for one in section.latencies
    }
    sight = Sight(
        fabric,
        loop,
        gone,
        rules,
        settings.sites(config, section),
        {one.name: one for one in section.locations},
        SiteLatencies(fabric, section.locations, between_ms),
    )
    names = {service.id: service.name for service in fabric.services}
    access = settings.access_settings(config, section)
    history = AccessHistory(where.sources, (one.name for one in places), access)
    edges = (edge.name for edge in fabric.stage(Stage.EDGE))
    foresight = DestinationForesight(
        settings.forecast_settings(config, section),
        planned_events(config),
        settings.similar(config, section),
    )
    return DestinationManager(
        rules,
        where,
        traffic.Traffic(history, driver, recorder, edges, names),
        DestinationDemand(history, foresight, troubles, predictive=section.predictive),
        sight,
        RedirectRows(fabric, driver),
        DestinationSteps(recorder.destination, names),
        Graphing(section.graph, troubles, connect),
        troubles,
        DestinationMemory(recorder, troubles, access.step_s),
        clock,
        dry,
        routes,
        period_s=section.period_s,
    )
