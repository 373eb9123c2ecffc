"""A real InfluxDB server of one's own: on a free loopback port, its data in a folder, stopped by its process id."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from controller.store.influx_http import Login, Server
from topologies.namespace import dying

START_S = 60.0
TOKEN = "umbra-bench-token"
ORG = "umbra"
OWN = Path(__file__).resolve().parents[2] / ".influxd" / "influxd"  # where `make influxd` puts it
_PLACES = ("/usr/bin", "/usr/local/bin", "/usr/sbin")

REMEDIES = {
    1: "install Debian's influxdb: apt-get install influxdb (tools/setup.sh test does)",
    2: "put InfluxDB 2.7's influxd on PATH, or build it: make influxd",
    3: "put InfluxDB 3 Core's influxdb3 on PATH",
}


class NoServerError(RuntimeError):
    """There is no such server on this machine, or it does not start."""


def binary(major: int) -> Path | None:
    """The server of that version on this machine."""
    if major == 3:
        found = shutil.which("influxdb3")
        return Path(found) if found else None
    places = [*os.environ.get("PATH", "").split(os.pathsep), *_PLACES]
    for path in [OWN, *(Path(place) / "influxd" for place in places if place)]:
        if os.access(path, os.X_OK) and path.is_file() and _major(path) == major:
            return path
    return None


def _major(path: Path) -> int | None:
    said = subprocess.run(
        [path, "version"], capture_output=True, text=True, check=False, timeout=60
    )
    found = re.search(r"InfluxDB v?(\d+)\.", said.stdout + said.stderr)
    return int(found.group(1)) if found else None


@dataclass(slots=True)
class Influx:
    """One server. `start` after `kill` starts it again with its data and on its port."""

    major: int
    directory: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def server(self) -> Server:
        """As the adapters are told."""
        login = Login(token=TOKEN) if self.major == 2 else Login()
        return Server(self.url, login=login, org=ORG)

    def start(self) -> None:
        """Returns when it answers. Raises NoServerError."""
        program = binary(self.major)
        if program is None:
            raise NoServerError(f"no InfluxDB {self.major} here; {REMEDIES[self.major]}")
        first = not self.port
        self.port = self.port or free_port()
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                dying(self._command(program)),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=os.environ | {"HOME": str(self.directory), "INFLUXD_CONFIG_PATH": "/nowhere"},
            )
        self._wait()
        if first and self.major == 2:
            answer = httpx.post(
                f"{self.url}/api/v2/setup",
                json={
                    "username": "umbra", "password": "umbra-bench", "org": ORG,
                    "bucket": "first", "token": TOKEN,
                },
                timeout=30,
                trust_env=False,
            )  # fmt: skip
            answer.raise_for_status()

    def kill(self) -> None:
        """As a crash: SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """In order; by force when that takes long."""
        self._end(signal.SIGTERM)

    def _end(self, by: int) -> None:
        if self.process is None:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(by)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)
        self.process = None

    def _command(self, program: Path) -> list[str]:
        data, at = self.directory / "data", f"127.0.0.1:{self.port}"
        if self.major == 1:
            config = self.directory / "influxdb.conf"
            config.write_text(_CONF.format(data=data, at=at, rpc=f"127.0.0.1:{free_port()}"))
            return [str(program), "run", "-config", str(config)]
        if self.major == 2:
            return [
                str(program), "--http-bind-address", at, "--reporting-disabled",
                "--bolt-path", str(data / "influxd.bolt"), "--engine-path", str(data / "engine"),
                "--sqlite-path", str(data / "influxd.sqlite"), "--log-level", "warn",
            ]  # fmt: skip
        return [
            str(program), "serve", "--node-id", "bench", "--object-store", "file",
            "--data-dir", str(data), "--http-bind", at, "--without-auth",
            "--disable-telemetry-upload",
        ]  # fmt: skip

    def _wait(self) -> None:
        until_s = time.monotonic() + START_S
        while time.monotonic() < until_s:
            if self.process is None or self.process.poll() is not None:
                break
            try:
                if httpx.get(f"{self.url}/ping", timeout=2, trust_env=False).status_code < 500:
                    return
            except httpx.HTTPError:
                time.sleep(0.1)
        self.kill()
        said = (self.directory / "log").read_text(errors="replace").strip().splitlines()[-3:]
        raise NoServerError(f"InfluxDB {self.major} does not start: {' / '.join(said)}")


@contextmanager
def running(major: int, directory: Path) -> Iterator[Influx]:
    """A server for the time of the context. Raises NoServerError."""
    server = Influx(major, directory)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def free_port() -> int:
    """A TCP port on loopback that nobody uses now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


_CONF = """reporting-disabled = true
bind-address = "{rpc}"
[meta]
  dir = "{data}/meta"
[data]
  dir = "{data}/data"
  wal-dir = "{data}/wal"
  index-version = "tsi1"
  query-log-enabled = false
  max-series-per-database = 0
[coordinator]
  log-queries-after = "0s"
[http]
  bind-address = "{at}"
  log-enabled = false
  max-body-size = 0
[monitor]
  store-enabled = false
[subscriber]
  enabled = false
[continuous_queries]
  log-enabled = false
  run-interval = "10s"
[logging]
  level = "warn"
"""
