"""Host agents in an emulated network: one on each host that is to hold addresses and run instances."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.act.host_agent import READY
from controller.act.host_values import PERIOD_S
from controller.act.hosts import Host
from topologies.net import Network, NetworkError


@dataclass(frozen=True, slots=True)
class Agent:
    """A host's agent: what the controller talks to, and the process."""

    host: Host
    process: subprocess.Popen[bytes]


def start_agents(
    network: Network, names: Sequence[str], directory: Path, *, heartbeat_s: float = PERIOD_S
) -> dict[str, Agent]:
    """Start an agent on each of these hosts; they end with the network, and their instances with them.

    A host's own address moves to a bridge: start agents before the load. Raises NetworkError with the reason when one
    does not start.
    """
    directory.mkdir(parents=True, exist_ok=True)
    agents: dict[str, Agent] = {}
    for name in names:
        socket = directory / f"{name}.sock"
        command = [sys.executable, "-m", "controller.act.host_agent", "--ephemeral"]
        command += ["--uplink", network.wiring.host(name).interface]
        command += ["--socket", str(socket), "--heartbeat-s", str(heartbeat_s)]
        log = _log(directory, name)
        agents[name] = Agent(
            Host(name, socket), network.run(name, command, stdout=subprocess.PIPE, log=log)
        )
    for name, agent in agents.items():
        assert agent.process.stdout is not None
        if agent.process.stdout.readline().strip() != READY.encode():
            words = _log(directory, name).read_text(errors="replace")[-500:]
            raise NetworkError(f"the agent of host {name} did not start: {words}")
    return agents


def _log(directory: Path, name: str) -> Path:
    return directory / f"{name}-agent.log"
