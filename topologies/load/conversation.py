"""Long conversations on an emulated network: answerers on all backends, talkers on all client hosts."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from topologies.load.exchanges import Exchange, Life, exchanges, lives
from topologies.load.run import LoadError
from topologies.net import Network

READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
NUMBERS_PER_CLIENT = 10_000_000


class Conversation:
    """`connections` to one service address, dealt out to the client hosts; broken ones are replaced.

    `life_s` is how long a connection lasts on average (0: for ever).
    """

    def __init__(
        self,
        network: Network,
        config: Mapping[str, Any],
        directory: Path,
        *,
        service: int,
        connections: int,
        seed: int,
        interval_s: float = 1.0,
        life_s: float = 0.0,
        opened_per_s: float = 250.0,
        answer_timeout_s: float = 10.0,
    ) -> None:
        self._network = network
        self._config = config
        self._directory = directory
        self._service = next(one for one in config["services"] if one["id"] == service)
        self.connections = connections
        self._seed = seed
        self._interval_s = interval_s
        self._life_s = life_s
        self._opened_per_s = opened_per_s
        self._answer_timeout_s = answer_timeout_s
        self._clients = [client["name"] for client in config["clients"]]
        self._backends = [one["name"] for one in config["backends"]]
        self._selector = selectors.DefaultSelector()
        self._programs: dict[str, subprocess.Popen[bytes]] = {}
        self._rest: dict[str, bytes] = {}
        self._ready: set[str] = set()
        self._said: dict[str, Mapping[str, Any]] = {}

    def start(self) -> None:
        """Start all programs: backends first, then clients, which begin at once."""
        self._directory.mkdir(parents=True, exist_ok=True)
        address = f"{self._service['address']}:{self._service['port']}"
        for name in self._backends:
            self._spawn(
                name,
                *("topologies.load.answerer", "--name", name, "--listen", address),
                *("--output", str(self._served(name))),
            )
        self._wait_ready()
        for index, name in enumerate(self._clients):
            share = len(range(index, self.connections, len(self._clients)))
            self._spawn(
                name,
                *("topologies.load.talker", "--name", name, "--to", address),
                *("--connections", str(share), "--seed", str(self._seed)),
                *("--first", str((index + 1) * NUMBERS_PER_CLIENT)),
                *("--interval", str(self._interval_s), "--life", str(self._life_s)),
                *("--opened-per-s", str(self._opened_per_s / len(self._clients))),
                *("--answer-timeout", str(self._answer_timeout_s)),
                *("--output", str(self._directory / name)),
            )
        self._wait_ready()

    def _served(self, backend: str) -> Path:
        return self._directory / f"{backend}.connections"

    def _spawn(self, host: str, module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", module, *arguments]
        log = self._directory / f"{host}.log"
        program = self._network.run(host, command, stdout=subprocess.PIPE, log=log)
        assert program.stdout is not None
        os.set_blocking(program.stdout.fileno(), False)
        self._selector.register(program.stdout, selectors.EVENT_READ, host)
        self._programs[host] = program
        self._rest[host] = b""

    def _wait_ready(self) -> None:
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while len(self._ready) < len(self._programs):
            if time.monotonic() > deadline_s:
                missing = sorted(set(self._programs) - self._ready)
                raise LoadError(f"not ready after {READY_TIMEOUT_S:g} s: {', '.join(missing)}")
            self.poll(0.1)

    def poll(self, timeout_s: float = 0.0) -> None:
        """Take in what the programs report; LoadError if one has died."""
        for key, _ in self._selector.select(timeout_s):
            host = key.data
            data = os.read(key.fd, 65536)
            if not data:
                self._selector.unregister(key.fileobj)
                if self._programs[host].wait() != 0:
                    log = self._directory / f"{host}.log"
                    words = log.read_text(errors="replace").splitlines()[-1:] or [f"see {log}"]
                    raise LoadError(f"the load's program on {host} died: {words[0]}")
                continue
            *lines, self._rest[host] = (self._rest[host] + data).split(b"\n")
            for line in lines:
                said = json.loads(line)
                if said["kind"] == "ready":
                    self._ready.add(host)
                elif said["kind"] != "end":
                    self._said[host] = said

    def live(self) -> int:
        """Connections that talk, as of the last second."""
        return sum(int(self._said.get(name, {}).get("live", 0)) for name in self._clients)

    def waiting_since_s(self) -> float:
        """When the oldest request that has no answer was sent; the report's time when there is none."""
        told = [self._said[name]["waiting_since_s"] for name in self._clients if name in self._said]
        return min(told, default=0.0)

    def ends(self) -> Counter[str]:
        """Connections that have ended, by how."""
        total: Counter[str] = Counter()
        for name in self._clients:
            total.update(self._said.get(name, {}).get("ends", {}))
        return total

    def resets(self) -> int:
        """Resets that the backends' TCP has sent: stray segments, of connections that are not theirs."""
        return sum(int(self._said.get(name, {}).get("resets", 0)) for name in self._backends)

    def exchanges(self, since_s: float = 0.0) -> list[Exchange]:
        """What was answered since that moment; the talkers write once a second."""
        paths = [(self._directory / name).with_suffix(".exchanges") for name in self._clients]
        return [one for one in exchanges(paths) if one.answered_s >= since_s]

    def lives(self) -> dict[int, Life]:
        """Every connection by number; complete after `stop`, else as of the last second."""
        return lives((self._directory / name).with_suffix(".events") for name in self._clients)

    def served_twice(self) -> set[int]:
        """Connections of which two backends got a request; as of the last second."""
        seen: set[int] = set()
        twice: set[int] = set()
        for name in self._backends:
            own = {int(line) for line in self._served(name).read_text().split("\n")[:-1]}
            twice |= seen & own
            seen |= own
        return twice

    def hush(self, stop: bool) -> None:
        """SIGSTOP all talkers, or SIGCONT them."""
        for name in self._clients:
            self._programs[name].send_signal(signal.SIGSTOP if stop else signal.SIGCONT)

    def renew(self) -> None:
        """Have every connection close when it is its turn to ask, and a new one opened."""
        for name in self._clients:
            self._programs[name].send_signal(signal.SIGUSR1)

    def stop(self) -> None:
        """End all programs, clients first; LoadError when one fails."""
        for names in (self._clients, self._backends):
            running = [self._programs[name] for name in names if name in self._programs]
            for program in running:
                if program.poll() is None:
                    program.terminate()
            for program in running:
                try:
                    program.wait(STOP_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    raise LoadError(f"a program of the load does not end: {names}") from None
        self.poll()
        for program in self._programs.values():
            if program.stdout is not None:
                program.stdout.close()
        self._selector.close()
