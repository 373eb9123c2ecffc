"""Real routers in network namespaces of their own: FRR and BIRD as Debian has them, ended by process id."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from topologies.ending import end
from topologies.network_space import NetworkSpace

FRR_DAEMONS = Path("/usr/lib/frr")
FRR_USER = "frr"
START_TIMEOUT_S = 20.0
END_S = 5.0
FAMILIES = {4: "ipv4", 6: "ipv6"}


class RealRouterError(RuntimeError):
    """A real router could not be started or asked."""


def missing() -> str | None:
    """What has to be installed before real routers can run here, or None."""
    packages = [
        package
        for package, program in (("frr", str(FRR_DAEMONS / "bgpd")), ("bird2", "bird"))
        if shutil.which(program) is None
    ]
    if packages:
        return f"install Debian's {' and '.join(packages)}: tools/setup.sh test, or apt-get install"
    return None


class FrrRouter:
    """zebra, staticd and bgpd with sockets and files in a directory of their own; nothing in /etc or /run.

    The directory belongs to FRR's user, which the daemons become, and nobody's parent directory may keep that user
    out: so it is a temporary one of the machine, and goes when the router ends.
    """

    def __init__(self, space: NetworkSpace) -> None:
        self.space = space
        self.run_dir = Path(tempfile.mkdtemp(prefix="umbra-frr-"))
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        shutil.chown(self.run_dir, FRR_USER, FRR_USER)
        try:
            for daemon in ("zebra", "staticd", "bgpd"):
                self._start(daemon)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            end(process, END_S)
        self._processes.clear()
        shutil.rmtree(self.run_dir, ignore_errors=True)

    def _start(self, daemon: str) -> None:
        empty = self.run_dir / f"{daemon}.conf"
        empty.touch()
        socket = self.run_dir / f"{daemon}.vty"
        self._processes.append(
            self.space.start(
                *(str(FRR_DAEMONS / daemon), "--config_file", str(empty)),
                *("--socket", str(self.run_dir / "zserv.api"), "--vty_socket", str(self.run_dir)),
                *("--pid_file", str(self.run_dir / f"{daemon}.pid"), "--vty_port", "0"),
                *("--log", "stdout", "--log-level", "warnings"),
                log=self.run_dir / f"{daemon}.log",
            )
        )
        _wait_for(socket, self._processes[-1], self.run_dir / f"{daemon}.log")

    def load(self, configuration: Path) -> None:
        """Take over a configuration file."""
        self.space.run("vtysh", "--vty_socket", str(self.run_dir), "-f", str(configuration))

    def show(self, *commands: str) -> str:
        """Output of commands of FRR's shell."""
        asked = [part for command in commands for part in ("-c", command)]
        return self.space.run("vtysh", "--vty_socket", str(self.run_dir), *asked)

    def show_json(self, command: str) -> Any:
        """The same for one command, parsed."""
        return json.loads(self.show(f"{command} json"))

    def routes(self, version: int = 4) -> dict[str, dict[str, Any]]:
        """Best BGP routes by prefix, with the attributes that came with them."""
        table = self.show_json(f"show bgp {FAMILIES[version]} unicast")
        return {
            prefix: next(path for path in paths if path.get("bestpath"))
            for prefix, paths in table.get("routes", {}).items()
            if any(path.get("bestpath") for path in paths)
        }

    def route(self, prefix: str, version: int = 4) -> dict[str, Any]:
        """Everything about the best path of a prefix; empty if there is none."""
        data = self.show_json(f"show bgp {FAMILIES[version]} unicast {prefix}")
        for path in data.get("paths", []):
            if path.get("bestpath"):
                return dict(path)
        return {}

    def neighbour(self, address: str) -> dict[str, Any]:
        """How FRR sees a neighbour."""
        data: dict[str, Any] = self.show_json(f"show bgp neighbors {address}")
        return dict(data.get(address, {}))


class BirdRouter:
    """One bird process with its control socket in a directory of its own."""

    def __init__(self, space: NetworkSpace, run_dir: Path) -> None:
        self.space = space
        self.run_dir = run_dir
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, configuration: Path) -> None:
        """Start with this configuration file."""
        self.run_dir.mkdir(parents=True, exist_ok=True)
        log = self.run_dir / "bird.log"
        self._process = self.space.start(
            *("bird", "-f", "-c", str(configuration)),
            *("-s", str(self.run_dir / "bird.ctl"), "-P", str(self.run_dir / "bird.pid")),
            log=log,
        )
        _wait_for(self.run_dir / "bird.ctl", self._process, log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            end(self._process, END_S)
            self._process = None

    def show(self, command: str) -> str:
        """Output of a command of BIRD's shell."""
        return self.space.run("birdc", "-s", str(self.run_dir / "bird.ctl"), command)

    def routes(self, protocol: str) -> dict[str, str]:
        """What a protocol brought: prefix → all that BIRD says about its best route."""
        told: dict[str, str] = {}
        prefix = None
        for line in self.show(f"show route protocol {protocol} all").splitlines():
            begin = re.match(r"^([0-9a-f.:]+/\d+)\s", line)
            if begin:
                prefix = begin.group(1)
            if prefix is not None and line.strip() and (begin or line[0] in " \t"):
                told[prefix] = told.get(prefix, "") + line + "\n"
        return told


def _wait_for(socket: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while not socket.exists():
        if process.poll() is not None or time.monotonic() > deadline_s:
            raise RealRouterError(
                f"{socket.name} did not appear: {log.read_text(errors='replace')[-2000:]}"
            )
        time.sleep(0.01)
