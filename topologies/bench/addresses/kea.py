"""Kea beside our pool: Debian's kea-dhcp4-server with a memfile lease database, asked by Kea's own perfdhcp.

Server and clients are in two network namespaces with a veth between them; both end with this process. A client's
grant is a whole exchange: DISCOVER, OFFER, REQUEST, ACK. The memfile database appends each lease to its file, and
does not sync the disk.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from topologies.bench.built import Built
from topologies.bench.progress import Progress
from topologies.ending import end
from topologies.load.analysis import percentile
from topologies.namespace import dying, inside, quiet_network
from topologies.network_space import NetworkSpace

SERVER, PERF = "kea-dhcp4", "perfdhcp"
SERVER_ADDRESS, CLIENT_ADDRESS = "10.92.0.1", "10.92.0.2"
SUBNET, POOL = "10.92.0.0/14", "10.93.0.0-10.95.255.254"
START_S = 10.0
LATENCY_RATE = 500  # exchanges per second, while latency is measured
LATENCY_S = 6
RATES = (1000, 2000, 3000, 4000, 5000, 6000, 8000, 10_000, 12_000, 16_000, 20_000)
RATE_S = 4
LOST_PCT = 0.1  # more is not carried
WAIT_US = 500_000
_LINE = re.compile(r"sent / received: ([\d.]+) / ([\d.]+)")


def absent() -> str | None:
    """Why it cannot run here, or None."""
    for program, package in ((SERVER, "kea-dhcp4-server"), (PERF, "kea-admin")):
        if shutil.which(program) is None:
            return f"{program} is not installed (Debian: apt install {package})"
    return None


@dataclass(frozen=True, slots=True)
class Exchanges:
    """What perfdhcp told: whole exchanges, the worse share of lost packets, each exchange's length."""

    whole: int
    lost_pct: float
    latencies_ms: list[float]


class Kea(Built):
    """The server, in a namespace of its own; use as a context manager."""

    def __init__(self, directory: Path, threads: int) -> None:
        super().__init__()
        self._directory = directory / f"kea-{threads}"
        self._threads = threads
        self._runs = 0
        self._client: NetworkSpace

    def _build(self) -> None:
        self._directory.mkdir()
        server, self._client = (self._stack.enter_context(NetworkSpace()) for _ in range(2))
        link = ("ip", "link", "add", "kea", "type", "veth")
        server.run(*link, "peer", "name", "perf", "netns", str(self._client.pid))
        _up(server, "kea", SERVER_ADDRESS)
        _up(self._client, "perf", CLIENT_ADDRESS)
        _wait_until_running(server, "kea")
        config = self._directory / "kea.conf"
        config.write_text(json.dumps(self._config()), encoding="ascii")
        # Its lock and process files belong to this run, not to a server of the system's.
        places = (f"KEA_{what}_DIR={self._directory}" for what in ("LOCKFILE", "PIDFILE"))
        output = self._directory / "output"
        process = server.start("env", *places, SERVER, "-c", str(config), log=output)
        self._stack.callback(end, process)
        deadline_s = time.monotonic() + START_S
        # Several: perfdhcp often ends before it read the last acknowledgement.
        while self._exchange("-n", "20", "-r", "100").whole == 0:
            if process.poll() is not None or time.monotonic() > deadline_s:
                said = "".join(
                    file.read_text(errors="replace")[-1000:]
                    for file in (output, self._directory / "log")
                    if file.exists()
                )
                raise RuntimeError(f"kea-dhcp4 does not answer: {said}")

    def _config(self) -> dict[str, object]:
        threading: dict[str, object] = {"enable-multi-threading": self._threads > 1}
        if self._threads > 1:
            threading |= {"thread-pool-size": self._threads}
        return {
            "Dhcp4": {
                "interfaces-config": {"interfaces": ["kea"], "dhcp-socket-type": "udp"},
                "lease-database": {
                    "type": "memfile",
                    "persist": True,
                    "name": str(self._directory / "leases.csv"),
                    "lfc-interval": 0,
                },
                "multi-threading": threading,
                "valid-lifetime": 4000,
                "subnet4": [{"subnet": SUBNET, "pools": [{"pool": POOL}]}],
                "loggers": [
                    {
                        "name": "kea-dhcp4",
                        "severity": "WARN",
                        "output_options": [{"output": str(self._directory / "log")}],
                    }
                ],
            }
        }

    def latency(self) -> Exchanges:
        """At a rate that it carries easily."""
        return self._exchange("-r", str(LATENCY_RATE), "-p", str(LATENCY_S), "-x", "t")

    def most(self, progress: Progress) -> float:
        """The highest rate at which hardly a packet is lost, in exchanges per second."""
        best = 0.0
        for rate in RATES:
            progress(f"kea: {rate} exchanges per second")
            found = self._exchange("-r", str(rate), "-p", str(RATE_S))
            if found.lost_pct > LOST_PCT:
                break
            # perfdhcp's own rate counts the time in which it waits for stragglers.
            best = max(best, found.whole / RATE_S)
        return best

    def _exchange(self, *options: str) -> Exchanges:
        """Clients that never asked before."""
        self._runs += 1
        base = f"mac=02:{self._runs >> 8:02x}:{self._runs & 0xFF:02x}:00:00:00"
        command = [PERF, "-4", "-l", "perf", "-b", base, "-R", "1000000", "-W", str(WAIT_US)]
        done = subprocess.run(
            dying(self._client.command(*command, *options, SERVER_ADDRESS)),
            capture_output=True,
            text=True,
            check=False,  # it ends with 3 when a packet was lost
            timeout=60,
        )
        return read(done.stdout)


def read(told: str) -> Exchanges:
    """perfdhcp's report. The length of an exchange is that of its two questions together."""
    received = re.findall(r"^received packets: (\d+)", told, re.MULTILINE)
    lost = [float(each) for each in re.findall(r"^drops ratio: ([\d.]+)", told, re.MULTILINE)]
    offers, _, acknowledgements = told.partition("Timestamps for packets: REQUEST-ACK")
    pairs = zip(_LINE.findall(offers), _LINE.findall(acknowledgements), strict=False)
    return Exchanges(
        whole=int(received[1]) if len(received) == 2 else 0,
        lost_pct=max(lost, default=100.0),
        latencies_ms=[
            1e3 * sum(float(came) - float(sent) for sent, came in pair) for pair in pairs
        ],
    )


def measure(directory: Path, progress: Progress) -> dict[str, float | str]:
    """Figures of both ways to run it, with one thread and with two."""
    why = absent()
    if why is not None:
        return {"absent": why}
    found: dict[str, float | str] = {}
    for threads in (1, 2):
        with Kea(directory, threads) as kea:
            progress(f"kea: latency with {threads} thread{'s' * (threads > 1)}")
            lengths = kea.latency().latencies_ms
            most = kea.most(progress)
        found |= {
            f"grant_p50_ms_{threads}_threads": round(percentile(lengths, 50), 3),
            f"grant_p99_ms_{threads}_threads": round(percentile(lengths, 99), 3),
            f"grants_per_s_{threads}_threads": round(most),
        }
    better = max((1, 2), key=lambda threads: float(found[f"grants_per_s_{threads}_threads"]))
    found["grants_per_s"] = found[f"grants_per_s_{better}_threads"]
    for name in ("p50", "p99"):
        found[f"warm_grant_{name}_ms"] = found[f"grant_{name}_ms_{better}_threads"]
    return found


def _up(space: NetworkSpace, name: str, address: str) -> None:
    with inside(space.pid):
        quiet_network()
    space.run("ip", "address", "add", f"{address}/14", "dev", name)
    space.run("ip", "link", "set", name, "up")


def _wait_until_running(space: NetworkSpace, name: str) -> None:
    """Kea opens its sockets once, at its start, and leaves out an interface that has no carrier yet."""
    deadline_s = time.monotonic() + START_S
    while json.loads(space.run("ip", "-json", "link", "show", name))[0]["operstate"] != "UP":
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"{name} has no carrier after {START_S:g} s")
        time.sleep(0.02)
