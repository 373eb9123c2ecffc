"""Configuration → a running address shadow manager with its parts; None when there is no section `addresses`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from controller.act.bgp import BgpSpeaker, BgpSpeakerError
from controller.act.hosts import Host
from controller.act.nat import NatHost
from controller.addressing import settings
from controller.addressing.demand import Predictive
from controller.addressing.errors import AddressingError
from controller.addressing.history import Happened
from controller.addressing.hosts import HostLike, Hosts
from controller.addressing.kept import Kept, KeptError
from controller.addressing.manager import AddressManager
from controller.addressing.memory import Memory
from controller.addressing.ranges import Ranges
from controller.addressing.requests import Requests
from controller.addressing.reservations import Reservations
from controller.addressing.routers import Routers, Speaker
from controller.addressing.rows import Nat, Rows
from controller.addressing.sharding import Sharding
from controller.addressing.steps import Note, Steps
from controller.addressing.world import Reality
from controller.config import Config
from controller.layer_writer import LayerDriver
from controller.model import Fabric
from controller.observe.instance_log import InstanceLog, InstanceLogError
from controller.observe.instances import InstanceHistory
from controller.pool import Pool
from controller.pool.errors import PoolError
from controller.predict import planned_events
from controller.trouble import Troubles


def agent(place: settings.HostPlace) -> Host:
    """The real agent of a host."""
    return Host(place.name, place.agent)


def make(
    config: Config,
    fabric: Fabric,
    driver: LayerDriver,
    troubles: Troubles,
    note: Note,
    clock: Callable[[], float],
    dry: Callable[[], bool],
    *,
    pool: Pool | None = None,
    connect: Callable[[settings.HostPlace], HostLike] = agent,
    speaker: Speaker | None = None,
    nat: Nat | None = None,
) -> AddressManager | None:
    """pool, connect, speaker, nat: instead of the real ones. Raises AddressingError."""
    section = config.addresses
    if section is None:
        return None
    own = settings.subdivisions(config)
    by_name = {one.name: one for one in own}
    elsewhere = frozenset(s.name for s in section.subdivisions if s.instances == "elsewhere")
    try:
        bgp = settings.bgp_settings(section)
        files = [settings.router_file(section, file) for file in section.router_files]
        if bgp is not None and section.bgp is not None and speaker is None:
            speaker = BgpSpeaker(Path(section.bgp.run_dir))
        log = InstanceLog(section.history)
        placements = Kept(section.history, "placements", "address", "host")
        notes = Kept(section.history, "memory", "name", "text", durable=True)
        if pool is None:
            pool = Pool(section.pool, cool_s=section.cool_s)
    except (PoolError, InstanceLogError, KeptError, BgpSpeakerError, ValueError) as error:
        raise AddressingError(str(error)) from error
    if nat is None and section.linux_nat is not None:
        nat = NatHost(section.linux_nat.command)
    steps = Steps(note)
    happened = Happened(InstanceHistory(), log, troubles)
    hosts = Hosts(settings.hosts(config), connect, troubles, elsewhere)
    rows = Rows(fabric, own, settings.attachments(section), driver, troubles, nat)
    predictive = Predictive(
        own,
        settings.profiles(section),
        settings.demand_settings(section),
        happened,
        troubles,
        seed=config.forecast.seed,
    )
    predictive.plan(planned_events(config))
    community_as = section.bgp.community_as if section.bgp is not None else None
    routers = Routers(fabric, own, bgp, speaker, community_as, files, troubles)
    warm = settings.range_settings(section)
    memory = Memory(notes, warm, troubles)
    sharding = Sharding(
        pool,
        own,
        settings.shard_settings(section),
        predictive,
        rows,
        routers,
        memory,
        steps,
        troubles,
    )
    ranges = Ranges(
        pool,
        own,
        warm,
        predictive,
        happened,
        hosts,
        rows,
        memory,
        steps,
        troubles,
    )
    requests = Requests(pool, by_name, elsewhere, hosts, rows, happened, troubles, clock)
    reality = Reality(
        pool, own, elsewhere, hosts, rows, requests, ranges, happened, steps, placements, troubles
    )
    reservations = Reservations(pool, by_name, hosts, rows, steps, clock)
    return AddressManager(
        own,
        pool,
        hosts,
        rows,
        happened,
        predictive,
        sharding,
        ranges,
        requests,
        reservations,
        reality,
        routers,
        memory,
        steps,
        troubles,
        clock,
        dry,
        period_s=section.period_s,
        reconcile_s=section.reconcile_s,
    )
