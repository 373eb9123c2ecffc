"""One run of the load on an emulated network: starts the programs, hands on what they report,
collects their records.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from topologies.load.analysis import Traffic, read
from topologies.load.schedule import Planned, deal, save
from topologies.net import Network

READY_TIMEOUT_S = 30.0
LEAD_S = 3.0  # from the start of the first program to the first connection
STOP_TIMEOUT_S = 10.0


class LoadError(RuntimeError):
    """A program of the load did not start, or ended too early."""


class LoadRun:
    """Servers and observers on all backends, clients on all client hosts."""

    def __init__(
        self,
        network: Network,
        config: Mapping[str, Any],
        connections: Sequence[Planned],
        directory: Path,
        *,
        interval_s: float = 2.0,
    ) -> None:
        self._network = network
        self._config = config
        self._connections = connections
        self._directory = directory
        self._interval_s = interval_s
        self._selector = selectors.DefaultSelector()
        self._programs: dict[str, subprocess.Popen[bytes]] = {}
        self._rest: dict[str, bytes] = {}
        self._ready: set[str] = set()
        self._ended: set[str] = set()
        self._live: dict[str, dict[str, int]] = {}
        self._outcomes: dict[str, dict[str, int]] = {}
        self.start_monotonic_s = 0.0
        self.start_unix_s = 0.0

    def start(self) -> None:
        """Start all programs; connections begin at `start_monotonic_s` (time.monotonic())."""
        self._directory.mkdir(parents=True, exist_ok=True)
        now_s = time.monotonic()
        self.start_monotonic_s = now_s + LEAD_S
        self.start_unix_s = time.time() + LEAD_S
        clients = [client["name"] for client in self._config["clients"]]
        plans = deal(self._connections, clients)
        for backend in self._config["backends"]:
            self._spawn(backend["name"], self._backend_command(backend["name"]))
        for name in clients:
            plan = self._directory / f"{name}.plan"
            save(plan, plans[name])
            self._spawn(name, self._client_command(name, plan))
        deadline_s = now_s + READY_TIMEOUT_S
        while len(self._ready) < len(self._programs):
            if time.monotonic() > deadline_s:
                missing = sorted(set(self._programs) - self._ready)
                raise LoadError(f"not ready after {READY_TIMEOUT_S:g} s: {', '.join(missing)}")
            self.poll(0.1)

    def _backend_command(self, name: str) -> list[str]:
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
        return [
            *(sys.executable, "-m", "topologies.load.backend", "--name", name, *listen, *routers),
            *("--interface", self._network.wiring.host(name).interface),
            *("--start", repr(self.start_monotonic_s), "--output", str(self._records(name))),
        ]

    def _client_command(self, name: str, plan: Path) -> list[str]:
        return [
            *(
                sys.executable,
                "-m",
                "topologies.load.client",
                "--name",
                name,
                "--schedule",
                str(plan),
            ),
            *("--start", repr(self.start_monotonic_s), "--output", str(self._records(name))),
            *("--interval", str(self._interval_s)),
        ]

    def _records(self, name: str) -> Path:
        return self._directory / f"{name}.jsonl"

    def _log(self, name: str) -> Path:
        return self._directory / f"{name}.log"

    def _spawn(self, name: str, command: list[str]) -> None:
        program = self._network.run(name, command, stdout=subprocess.PIPE, log=self._log(name))
        assert program.stdout is not None
        os.set_blocking(program.stdout.fileno(), False)
        self._selector.register(program.stdout, selectors.EVENT_READ, name)
        self._programs[name] = program
        self._rest[name] = b""

    def poll(self, timeout_s: float) -> None:
        """Take in what the programs report; waits at most `timeout_s` for news. LoadError if one
        has died.
        """
        for key, _ in self._selector.select(timeout_s):
            name = key.data
            data = os.read(key.fd, 65536)
            if not data:
                self._selector.unregister(key.fileobj)
                if name not in self._ended and self._programs[name].wait() != 0:
                    raise LoadError(f"the load's program on {name} died: {self._last_words(name)}")
                continue
            *lines, self._rest[name] = (self._rest[name] + data).split(b"\n")
            for line in lines:
                self._take(name, json.loads(line))

    def _last_words(self, name: str) -> str:
        lines = self._log(name).read_text(errors="replace").splitlines()
        return (
            lines[-1]
            if lines
            else f"code {self._programs[name].poll()}, nothing in {self._log(name)}"
        )

    def _take(self, name: str, report: Mapping[str, Any]) -> None:
        kind = report["kind"]
        if kind == "ready":
            self._ready.add(name)
        elif kind == "live":
            self._live[name] = report["routers"]
        elif kind == "progress":
            self._outcomes[name] = report["outcomes"]
        elif kind == "end":
            self._ended.add(name)

    @property
    def time_s(self) -> float:
        """Seconds since the first connection was due; negative before."""
        return time.monotonic() - self.start_monotonic_s

    def live(self) -> Counter[str]:
        """Connections alive per router, as the backends saw it within the last second."""
        total: Counter[str] = Counter()
        for counts in self._live.values():
            total.update(counts)
        return total

    def outcomes(self) -> Counter[str]:
        """Connections that have ended so far, by outcome."""
        total: Counter[str] = Counter()
        for counts in self._outcomes.values():
            total.update(counts)
        return total

    def done(self) -> bool:
        """Have all clients finished?"""
        return all(client["name"] in self._ended for client in self._config["clients"])

    def finish(self) -> Traffic:
        """End the programs in order (clients first), and read all records."""
        clients = [client["name"] for client in self._config["clients"]]
        backends = [backend["name"] for backend in self._config["backends"]]
        for names in (clients, backends):
            for name in names:
                if name not in self._ended and self._programs[name].poll() is None:
                    self._programs[name].terminate()
            for name in names:
                try:
                    code = self._programs[name].wait(STOP_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    raise LoadError(
                        f"the load's program on {name} does not end; see {self._log(name)}"
                    ) from None
                if code != 0:
                    raise LoadError(
                        f"the load's program on {name} failed: {self._last_words(name)}"
                    )
        for name in self._programs:
            stream = self._programs[name].stdout
            if stream is not None:
                stream.close()
        self._selector.close()
        return read(
            [self._records(name) for name in clients],
            [self._records(name) for name in backends],
        )
