"""Where routers, primaries and backends are, after the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from controller.config.sections import Config, Service


def router_sites(config: Config) -> dict[str, str]:
    """Service router → its site."""
    return {switch.name: switch.site for switch in config.switches if switch.stage == "router"}


def primary_sites(config: Config, service: Service) -> set[str]:
    """The sites of a service's own routers."""
    known = router_sites(config)
    return {known[name] for name in service.routers if name in known}


def backend_sites(config: Config, service: Service) -> set[str]:
    """The sites where a service has backends: those of the switches that they hang on."""
    switches = {switch.name: switch.site for switch in config.switches}
    hang_on = {backend.name: backend.port.split(":")[0] for backend in config.backends}
    names = (hang_on.get(name, "") for name in service.backends)
    return {switches[name] for name in names if name in switches}
