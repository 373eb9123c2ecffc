"""The configuration: one YAML file, checked offline, frozen once read."""

from controller.config.errors import ConfigError, Problem
from controller.config.load import dump, load, parse
from controller.config.sections import (
    P4,
    Api,
    Audit,
    Backend,
    Client,
    Config,
    Cycle,
    Digests,
    Event,
    Forecast,
    Idle,
    Link,
    Service,
    Shadows,
    Store,
    Switch,
    Tls,
)

__all__ = [
    "P4",
    "Api",
    "Audit",
    "Backend",
    "Client",
    "Config",
    "ConfigError",
    "Cycle",
    "Digests",
    "Event",
    "Forecast",
    "Idle",
    "Link",
    "Problem",
    "Service",
    "Shadows",
    "Store",
    "Switch",
    "Tls",
    "dump",
    "load",
    "parse",
]
