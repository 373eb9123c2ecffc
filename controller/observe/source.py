"""Where telemetry is read from and written to, as the configuration says."""

from __future__ import annotations

from pathlib import Path

from controller.config.influx import InfluxServer
from controller.config.sections import Influxdb
from controller.config.sections import Store as StoreSection
from controller.store.influx import InfluxAdapter
from controller.store.influx_http import Login, Server
from controller.store.interface import Adapter, UnavailableError
from controller.store.opening import connect
from controller.store.sqlite import SqliteAdapter

Source = str | Path | StoreSection  # a file of the embedded store, or what the configuration says


def server(section: InfluxServer) -> Server:
    """With what its files hold. Raises UnavailableError when one cannot be read."""
    login = Login(_secret(section.token_file), section.username, _secret(section.password_file))
    return Server(
        section.url, section.database, section.org, login, section.timeout_s, section.ca_file
    )


def connected(section: Influxdb) -> InfluxAdapter:
    """The server's adapter, after asking it what it is. Raises UnavailableError, MissingLibraryError."""
    return connect(server(section))


def reader(source: Source) -> Adapter:
    """For another process than the controller's. Raises UnavailableError."""
    if isinstance(source, StoreSection):
        if source.influxdb is not None:
            return connected(source.influxdb)
        source = source.path
    if not Path(source).is_file():
        raise UnavailableError(
            f"there is no store {source}; name one that umbra wrote, or a data file"
        )
    return SqliteAdapter(source, read_only=True)


def _secret(file: str | None) -> str | None:
    if file is None:
        return None
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UnavailableError(f"{file} cannot be read ({error}); correct its name") from error
