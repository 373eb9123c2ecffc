"""Which InfluxDB answers: told by /ping and its X-Influxdb-Version header, never by /query.

(Other products answer anything at /query.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import httpx

from controller.store.influx_http import Http, Server, unreachable
from controller.store.interface import UnavailableError

HEADER = "X-Influxdb-Version"
BUILD = "X-Influxdb-Build"


@dataclass(frozen=True, slots=True)
class Detected:
    """major: 1, 2 or 3. version, build: as the server says."""

    major: int
    version: str
    build: str


def detect(server: Server) -> Detected:
    """Ask the server. Raises UnavailableError when it does not answer or is no InfluxDB."""
    http = Http(server)
    try:
        answer = http.client.get("/ping")
    except (httpx.HTTPError, OSError) as error:
        raise unreachable(server.url, error) from error
    finally:
        http.close()
    if answer.status_code >= 500 or answer.status_code == 429:
        raise UnavailableError(
            f"{server.url} answered {answer.status_code} at /ping; it is tried again"
        )
    version = answer.headers.get(HEADER, "")
    found = re.match(r"v?(\d+)\.", version)
    if found is None or int(found.group(1)) not in (1, 2, 3):
        said = f"says {version!r}" if version else f"has no {HEADER} header"
        raise UnavailableError(
            f"{server.url} is no InfluxDB that umbra knows: its /ping {said}; "
            "name an InfluxDB 1.x, 2.x or 3 in store.influxdb.url"
        )
    return Detected(int(found.group(1)), version, answer.headers.get(BUILD, ""))
