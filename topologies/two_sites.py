"""Two sites with a long way between them, clients at each, and services at home at one with backends at both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from topologies.clos import ClosSpec, ServiceSpec, configuration
from topologies.sun import Mode, Region

SITES = ("site1", "site2")
LOCATIONS = ("north", "south")
DELAY_MS = 10.0  # one way between the sites
CAPACITY = 4000  # of each router: nobody is refused
COPY_COST = 40.0  # two connections per second that save the way there and back
KEPT_STEPS = 2000
AHEAD_STEPS = 4  # what is read and told comes a step late
HORIZON_STEPS = (1, 2, 4)
SERVICES = (
    ServiceSpec("web", routers=("r1",), backends=("b1", "b2")),
    ServiceSpec("mail", routers=("r2",), backends=("b1", "b2")),
)
HOMES = {1: SITES[0], 2: SITES[1]}  # by service id
BACKENDS = {"b1": SITES[0], "b2": SITES[1]}
REGIONS = {
    client: Region(location, site)
    for client, location, site in zip(("c1", "c2"), LOCATIONS, SITES, strict=True)
}


def two_sites(directory: Path, mode: Mode, *, step_s: float, edges: int = 1) -> dict[str, Any]:
    """The configuration. At each site: `edges` edges, a spine, a router, a backend; one client host at its first edge.

    step_s: of the access history. Times and costs of changes in the section `destinations` are as much smaller than
    usual ones as a day is shorter. Files are kept in `directory`.
    """
    spec = ClosSpec(
        edges=edges,
        spines=1,
        routers=1,
        backends=1,
        clients=1,
        sites=2,
        capacity=CAPACITY,
        threshold=100,
        inter_site_delay_ms=DELAY_MS,
        services=SERVICES,
        settings={
            # No router runs short here. Digests come once a cycle, and every step of the history needs its own.
            "cycle": {"period_s": step_s / 2, "predictive": False, "surge": False},
            "store": {"path": str(directory / "umbra.db")},
            "audit": {"path": str(directory / "audit.jsonl")},
            "api": {"port": 0},
        },
    )
    config = configuration(spec)
    if mode is not Mode.STATIC:
        subnets = {
            site: [
                one["subnet"]
                for one in config["switches"]
                if one["site"] == site and one["stage"] == "edge"
            ]
            for site in SITES
        }
        config["destinations"] = {
            "period_s": step_s / 2,
            "predictive": mode is Mode.PREDICTIVE,
            "graph": {"path": str(directory / "graph.db")},
            "locations": [
                {"name": name, "site": site, "prefixes": subnets[site]}
                for name, site in zip(LOCATIONS, SITES, strict=True)
            ],
            "access": {"step_s": step_s, "keep_s": KEPT_STEPS * step_s},
            "forecast": {
                "ahead_s": AHEAD_STEPS * step_s,
                "horizons_s": [steps * step_s for steps in HORIZON_STEPS],
                "min_history_s": 60 * step_s,
            },
            "sites": [{"name": site, "copy_cost": COPY_COST} for site in SITES],
            "placement": {"open_cost": 20.0, "withdraw_cost": 30.0, "keep_s": 4 * step_s},
            # Counts of a step are small, and chance is much of what they are off by: forecasts are corrected little.
            "redirects": {
                "retry_s": 60 * step_s,
                "hold_s": 0.0,
                "hold_max_s": 0.0,
                "correction_max": 1.5,
            },
        }
    return config
