"""One run of the load on an emulated network: starts the programs, hands on what they report,
collects their records.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from topologies.load.analysis import Traffic, read
from topologies.load.programs import Programs
from topologies.load.schedule import Planned, deal, save
from topologies.net import Network

LEAD_S = 3.0  # from the start of the first program to the first connection


class LoadRun:
    """Servers and observers on all backends, clients on all client hosts."""

    def __init__(
        self,
        network: Network,
        config: Mapping[str, Any],
        connections: Sequence[Planned] | Mapping[str, Sequence[Planned]],
        directory: Path,
        *,
        interval_s: float = 2.0,
    ) -> None:
        """connections: dealt out to the client hosts in turn, or those of each host."""
        self._network = network
        self._config = config
        self._directory = directory
        self._interval_s = interval_s
        self._clients = [client["name"] for client in config["clients"]]
        self._plans = (
            connections if isinstance(connections, Mapping) else deal(connections, self._clients)
        )
        self._backends = [backend["name"] for backend in config["backends"]]
        self._programs = Programs(network, directory)
        self.start_monotonic_s = 0.0
        self.start_unix_s = 0.0

    def start(self) -> None:
        """Start all programs; connections begin at `start_monotonic_s` (time.monotonic())."""
        now_s = time.monotonic()
        self.start_monotonic_s = now_s + LEAD_S
        self.start_unix_s = time.time() + LEAD_S
        for name in self._backends:
            self._start(name, "backend", *self._listening(name))
        for name in self._clients:
            plan = self._directory / f"{name}.plan"
            save(plan, self._plans[name])
            self._start(
                name, "client", "--schedule", str(plan), "--interval", str(self._interval_s)
            )
        self._programs.wait_ready()

    def _start(self, name: str, module: str, *arguments: str) -> None:
        when_and_where = ("--start", repr(self.start_monotonic_s), "--output", self._records(name))
        self._programs.start(name, module, *arguments, *map(str, when_and_where))

    def _listening(self, name: str) -> list[str]:
        listen = [
            f"--listen={service['address']}:{service['port']}"
            for service in self._config["services"]
            if name in service["backends"] and service["protocol"] == "tcp"
        ]
        routers = [
            f"--router={switch['name']}={switch['mac']}"
            for switch in self._config["switches"]
            if switch["stage"] == "router"
        ]
        return [*listen, *routers, "--interface", self._network.wiring.host(name).interface]

    def _records(self, name: str) -> Path:
        return self._directory / f"{name}.jsonl"

    def poll(self, timeout_s: float) -> None:
        """Take in what the programs report; waits at most `timeout_s` for news. LoadError if one
        has died.
        """
        self._programs.poll(timeout_s)

    @property
    def time_s(self) -> float:
        """Seconds since the first connection was due; negative before."""
        return time.monotonic() - self.start_monotonic_s

    def live(self) -> Counter[str]:
        """Connections alive per router, as the backends saw it within the last second."""
        total: Counter[str] = Counter()
        for name in self._backends:
            total.update(self._programs.said(name, "live").get("routers", {}))
        return total

    def outcomes(self) -> Counter[str]:
        """Connections that have ended so far, by outcome."""
        total: Counter[str] = Counter()
        for name in self._clients:
            total.update(self._programs.said(name, "progress").get("outcomes", {}))
        return total

    def done(self) -> bool:
        """Have all clients finished?"""
        return all(self._programs.said(name, "end") for name in self._clients)

    def finish(self) -> Traffic:
        """End the programs in order (clients first), and read all records."""
        self._programs.stop(self._clients, self._backends)
        return read(
            [self._records(name) for name in self._clients],
            [self._records(name) for name in self._backends],
        )
