"""Settings of a router → the text of its configuration file. Pure but for reading the template."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import jinja2

from controller.act.router_files.values import Kind, RouterFileError, RouterSettings
from controller.model import ShardState
from controller.model.bgp import Advertisement
from controller.plan.shard_advertisements import GRACEFUL_SHUTDOWN, PREFERENCE

TEMPLATES = Path(__file__).parent / "templates"
LONGEST = {4: 32, 6: 128}


def render(kind: Kind, settings: RouterSettings, *, template: Path | None = None) -> str:
    """The file's text; the same settings give the same text.

    template: an operator's own (Jinja2) instead of umbra's. RouterFileError if it does not fit the settings.
    """
    path = template or TEMPLATES / f"{kind}.conf.j2"
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(path.parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # no HTML; what could end a string or a line is refused by RouterSettings
    )
    try:
        return environment.get_template(path.name).render(context(settings))
    except jinja2.TemplateError as error:
        raise RouterFileError(f"template {path}: {error}") from error


def context(settings: RouterSettings) -> dict[str, Any]:
    """What a template can name."""
    return {
        "router": settings,
        "umbra": settings.umbra,
        "pools": {v: [p for p in settings.pools if _version(p) == v] for v in (4, 6)},
        "longest": LONGEST,
        "versions": [v for v in (4, 6) if any(_version(p) == v for p in settings.pools)],
        "shards": {
            v: sorted(
                (one for one in settings.shards if one.version == v),
                key=lambda one: ipaddress.ip_network(one.prefix),
            )
            for v in (4, 6)
        },
        "states": [
            {
                "name": state.value,
                "community": (settings.community_as, PREFERENCE[state].mark),
                "local_pref": PREFERENCE[state].local_pref,
            }
            for state in (ShardState.PREFETCHED, ShardState.ASSIGNED, ShardState.DRAINING)
        ],
        "state_of": state_of,
        "graceful_shutdown": GRACEFUL_SHUTDOWN,
        "external": settings.umbra is not None and settings.umbra.remote_as != settings.local_as,
    }


def state_of(shard: Advertisement) -> str:
    """The state that a route's LOCAL_PREF stands for, in a template's words."""
    for state, preference in PREFERENCE.items():
        if preference.local_pref == shard.local_pref:
            return state.value
    return ShardState.ASSIGNED.value


def _version(prefix: str) -> int:
    return ipaddress.ip_network(prefix).version
