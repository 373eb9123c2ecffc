"""Configuration → a running shadow manager for devices with its parts; None when no devices are configured."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from controller.act.resources import Allocator, Place
from controller.config import Config
from controller.cycle import Cycle
from controller.model import Fabric
from controller.observe.device_rows import DeviceRows
from controller.observe.request_classes import RequestClasses
from controller.plan.resources import ManagerSettings
from controller.predict import planned_events
from controller.recorder import Recorder
from controller.resources import past, settings
from controller.resources.day import DayRecord
from controller.resources.foresight import UseForesight
from controller.resources.history import UseHistory
from controller.resources.limited import Limited
from controller.resources.manager import ResourceManager
from controller.resources.shadows import Limits, Node, Shadows
from controller.resources.traffic import SOURCE, Traffic
from controller.resources.uses import Totals, Uses
from controller.store.interface import StoreError
from controller.trouble import Troubles

MEMORY, SERIES, LIMITED = "resources", "device requests", "limited"  # in the store
STALE_PERIODS = 3.0
OWN, PAST = "stored use of devices", "past use of devices"


class Allocating(Limits, Totals, Protocol):
    """What is needed of the allocator."""


def limited(config: Config, recorder: Recorder, troubles: Troubles) -> Limited:
    """The limits of earlier runs and of this one, also where no devices are configured any more."""

    def lift(switch: str, place: Place) -> None:
        Allocator({switch: place}).lift(switch)

    def remember(text: str) -> None:
        recorder.store.set_meta(LIMITED, text)

    devices = settings.devices(config.resources) if config.resources is not None else ()
    places = {own.switch: own.place for one in devices for own in one.shadows}
    return Limited(places, lift, remember, troubles)


def make(
    config: Config,
    fabric: Fabric,
    status: Callable[[], Mapping[str, Node]],
    away: Callable[[], set[str]],
    cycle: Cycle,
    recorder: Recorder,
    own_limits: Limited,
    troubles: Troubles,
    clock: Callable[[], float],
    *,
    allocator: Allocating | None = None,
) -> ResourceManager | None:
    """allocator: instead of the real one."""
    section = config.resources
    if section is None or not section.devices:
        return None
    devices = settings.devices(section)
    if allocator is None:
        allocator = Allocator(settings.places(devices))
    targets = {one.label: one.name for one in fabric.switches}
    targets |= {one.label: one.name for one in fabric.backends}
    uses = Uses(
        allocator,
        RequestClasses({one.id: one.name for one in fabric.services}, targets),
        DeviceRows(
            section.most_classes,
            config.store.retention_of_s.get("device_requests", config.store.retention_s),
        ),
        recorder.uses,
        lambda text: recorder.store.set_meta(SERIES, text),
        troubles,
        stale_s=STALE_PERIODS * section.period_s,
    )
    forecast, record = section.forecast, section.record
    foresight = UseForesight(forecast, troubles, seed=config.forecast.seed)
    foresight.plan(planned_events(config))
    lookback = settings.LOOKBACK_STEPS
    manager = ResourceManager(
        devices,
        section.planned(),
        ManagerSettings(section.period_s, section.prewarm.settings()),
        uses,
        UseHistory(forecast.step_s, max(lookback, int(forecast.history_s / forecast.step_s))),
        foresight,
        Shadows(devices, allocator, own_limits, status, away, troubles),
        Traffic(
            devices, cycle.order, lambda: cycle.state.ordered.get(SOURCE, {}), recorder.decision
        ),
        DayRecord(record.path, record.keep_days, troubles) if record is not None else None,
        troubles,
        clock,
        lambda: cycle.dry is not None,
        counters=lambda: list(cycle.counters.values()),
        live=lambda name: cycle.samples[name].live if name in cycle.samples else 0,
        note=recorder.resources,
        remember=lambda text: recorder.store.set_meta(MEMORY, text),
    )
    cycle.seen.append(manager.saw)
    return manager


async def recall(
    manager: ResourceManager,
    config: Config,
    recorder: Recorder,
    troubles: Troubles,
    now_s: float,
) -> None:
    """What an earlier run remembered, and what devices used then; before that, what others wrote of them."""
    section = config.resources
    if section is None:
        return
    since_s = now_s - section.forecast.history_s
    names = [one.name for one in manager.devices]
    own: Mapping[str, Sequence[past.Sample]] = {}
    step_s = section.forecast.step_s
    try:
        own = await asyncio.to_thread(past.own, config.store, names, since_s, step_s)
    except StoreError as error:
        told = "forecasts begin without what was stored; start umbra again when it can be read"
        troubles.begin(OWN, f"{error}; {told}")
    if section.past is not None:
        try:
            before = await asyncio.to_thread(past.read, section.past, names, since_s)
        except (StoreError, ValueError) as error:
            troubles.begin(PAST, f"{error}; forecasts begin without it")
        else:
            own = {name: past.joined(before.get(name, ()), own.get(name, ())) for name in names}
    texts = await recorder.meta(MEMORY), await recorder.meta(SERIES)
    # Days of a thousand devices take seconds; nobody else uses the manager before it turns.
    await asyncio.to_thread(manager.recall, *texts, own)
