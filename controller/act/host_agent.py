"""A host's agent: holds addresses and runs instances on its host, as the controller asks.

    python -m controller.act.host_agent --uplink eth1 --socket /run/umbra/host.sock

It says READY when it serves. Whoever may write to the socket is trusted: only the agent's own user.
"""

from __future__ import annotations

import argparse
import signal
import socket
import sys
from pathlib import Path

from controller.act.host_values import PERIOD_S
from controller.act.spawner import Spawner

READY = "ready"


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(
        description="Hold addresses and run instances on this host, as the controller asks."
    )
    parser.add_argument("--uplink", required=True, help="interface to the switch")
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--heartbeat-s", type=float, default=PERIOD_S, metavar="SECONDS")
    parser.add_argument("--ephemeral", action="store_true", help="instances die with the agent")
    arguments = parser.parse_args()
    if arguments.heartbeat_s <= 0:
        parser.error("--heartbeat-s must be above 0")
    spawner = Spawner()
    # Only now: the spawner is to stay small.
    from controller.act.host_network import NetworkMissing
    from controller.act.host_server import HostAgent

    try:
        agent = HostAgent(
            arguments.uplink,
            arguments.socket,
            spawner,
            period_s=arguments.heartbeat_s,
            ephemeral=arguments.ephemeral,
        )
    except (OSError, NetworkMissing) as error:
        sys.exit(f"host agent: {error}")
    signal.signal(signal.SIGTERM, agent.end)
    signal.signal(signal.SIGINT, agent.end)
    wake, waker = socket.socketpair()
    for end in (wake, waker):
        end.setblocking(False)
    signal.set_wakeup_fd(waker.fileno())
    agent.wake_by(wake)
    try:
        print(READY, flush=True)
        agent.serve()
    finally:
        agent.close()
        spawner.close()


if __name__ == "__main__":
    main()
