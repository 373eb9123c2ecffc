"""The load's programs on the hosts of an emulated network: started, listened to, ended.

Each says what it does on standard output, a JSON object a line with its "kind"; "ready" comes first, "end" last.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from topologies.net import Network

READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0


class LoadError(RuntimeError):
    """A program of the load did not start, or ended too early."""


class Programs:
    """At most one on each host, by the host's name."""

    def __init__(self, network: Network, directory: Path) -> None:
        """`directory`: for what the programs write to standard error; it is made."""
        directory.mkdir(parents=True, exist_ok=True)
        self._network = network
        self._directory = directory
        self._selector = selectors.DefaultSelector()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._rest: dict[str, bytes] = {}
        self._said: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)

    def start(self, host: str, module: str, *arguments: str) -> None:
        """Start `topologies.load.MODULE` on a host, as that host: with --name HOST."""
        command = [sys.executable, "-m", f"topologies.load.{module}", "--name", host, *arguments]
        program = self._network.run(host, command, stdout=subprocess.PIPE, log=self._log(host))
        assert program.stdout is not None
        os.set_blocking(program.stdout.fileno(), False)
        self._selector.register(program.stdout, selectors.EVENT_READ, host)
        self._running[host] = program
        self._rest[host] = b""

    def wait_ready(self) -> None:
        """Wait until all that were started are ready."""
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while missing := sorted(host for host in self._running if not self.said(host, "ready")):
            if time.monotonic() > deadline_s:
                raise LoadError(f"not ready after {READY_TIMEOUT_S:g} s: {', '.join(missing)}")
            self.poll(0.1)

    def poll(self, timeout_s: float = 0.0) -> None:
        """Take in what the programs say; waits at most `timeout_s` for news. LoadError if one has died."""
        for key, _ in self._selector.select(timeout_s):
            host = key.data
            data = os.read(key.fd, 65536)
            if not data:
                self._selector.unregister(key.fileobj)
                self._check(host, self._running[host].wait())
                continue
            *lines, self._rest[host] = (self._rest[host] + data).split(b"\n")
            for line in lines:
                said = json.loads(line)
                self._said[host][said["kind"]] = said

    def said(self, host: str, kind: str) -> Mapping[str, Any]:
        """The last line of this kind; empty when there was none."""
        return self._said[host].get(kind, {})

    def signal(self, hosts: Sequence[str], number: int) -> None:
        """Send a signal to the programs on these hosts."""
        for host in hosts:
            self._running[host].send_signal(number)

    def stop(self, *groups: Sequence[str]) -> None:
        """End the programs, one group of hosts after the other; LoadError when one fails."""
        for hosts in groups:
            for host in hosts:
                if self._running[host].poll() is None and not self.said(host, "end"):
                    self._running[host].terminate()
            for host in hosts:
                try:
                    self._check(host, self._running[host].wait(STOP_TIMEOUT_S))
                except subprocess.TimeoutExpired:
                    raise LoadError(
                        f"the load's program on {host} does not end; see {self._log(host)}"
                    ) from None
        self.poll()
        for program in self._running.values():
            if program.stdout is not None:
                program.stdout.close()
        self._selector.close()

    def _log(self, host: str) -> Path:
        return self._directory / f"{host}.log"

    def _check(self, host: str, code: int) -> None:
        if code != 0:
            lines = self._log(host).read_text(errors="replace").splitlines()
            words = lines[-1] if lines else f"code {code}, nothing in {self._log(host)}"
            raise LoadError(f"the load's program on {host} died: {words}")
