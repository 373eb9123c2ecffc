"""Files that a configuration names: those that are read, and are not there."""

from __future__ import annotations

from pathlib import Path as FilePath

from controller.config import addressing_checks, destinations_checks, resource_checks
from controller.config.errors import Path, Problem
from controller.config.sections import Config


def missing_files(config: Config) -> list[Problem]:
    """Files that are to be read and do not exist."""
    named: list[tuple[Path, str | None]] = [
        (("api", "token_file"), config.api.token_file),
        (("p4", "json"), config.p4.json_path),
        (("p4", "p4info"), config.p4.p4info),
    ]
    influxdb = config.store.influxdb
    if influxdb is not None:
        for key in ("token_file", "password_file", "ca_file"):
            named.append((("store", "influxdb", key), getattr(influxdb, key)))
    for index, switch in enumerate(config.switches):
        if switch.p4:
            named.append((("switches", index, "p4", "json"), switch.p4.json_path))
            named.append((("switches", index, "p4", "p4info"), switch.p4.p4info))
        if switch.tls:
            place = ("switches", index, "tls")
            named.append(((*place, "ca_file"), switch.tls.ca_file))
            named.append(((*place, "cert_file"), switch.tls.cert_file))
            named.append(((*place, "key_file"), switch.tls.key_file))
    return [
        *(
            Problem(path, f"there is no file {file}", "create it or correct the name")
            for path, file in named
            if file is not None and not FilePath(file).is_file()
        ),
        *addressing_checks.missing_files(config),
        *destinations_checks.missing_files(config),
        *resource_checks.missing_files(config),
    ]
