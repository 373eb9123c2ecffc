"""Long conversations on an emulated network: answerers on all backends, talkers on all client hosts."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from topologies.load.exchanges import Exchange, Life, exchanges, lives
from topologies.load.programs import Programs
from topologies.net import Network

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
        self._directory = directory
        self._service = next(one for one in config["services"] if one["id"] == service)
        self._connections = connections
        self._seed = seed
        self._interval_s = interval_s
        self._life_s = life_s
        self._opened_per_s = opened_per_s
        self._answer_timeout_s = answer_timeout_s
        self._clients = [client["name"] for client in config["clients"]]
        self._backends = [one["name"] for one in config["backends"]]
        self._programs = Programs(network, directory)

    def start(self) -> None:
        """Start all programs: backends first, then clients, which begin at once."""
        address = f"{self._service['address']}:{self._service['port']}"
        for name in self._backends:
            output = str(self._served(name))
            self._programs.start(name, "answerer", "--listen", address, "--output", output)
        self._programs.wait_ready()
        for index, name in enumerate(self._clients):
            share = len(range(index, self._connections, len(self._clients)))
            self._programs.start(
                name,
                *("talker", "--to", address, "--connections", str(share)),
                *("--first", str((index + 1) * NUMBERS_PER_CLIENT), "--seed", str(self._seed)),
                *("--interval", str(self._interval_s), "--life", str(self._life_s)),
                *("--opened-per-s", str(self._opened_per_s / len(self._clients))),
                *("--answer-timeout", str(self._answer_timeout_s)),
                *("--output", str(self._directory / name)),
            )
        self._programs.wait_ready()

    def _served(self, backend: str) -> Path:
        return self._directory / f"{backend}.connections"

    def poll(self) -> None:
        """Take in what the programs report; LoadError if one has died."""
        self._programs.poll()

    def _told(self, client: str) -> Mapping[str, Any]:
        return self._programs.said(client, "talk")

    def live(self) -> int:
        """Connections that talk, as of the last second."""
        return sum(int(self._told(name).get("live", 0)) for name in self._clients)

    def waiting_since_s(self) -> float:
        """When the oldest request that has no answer was sent; the report's time when there is none."""
        return min(float(self._told(name).get("waiting_since_s", 0.0)) for name in self._clients)

    def ends(self) -> Counter[str]:
        """Connections that have ended, by how."""
        total: Counter[str] = Counter()
        for name in self._clients:
            total.update(self._told(name).get("ends", {}))
        return total

    def resets(self) -> int:
        """Resets that the backends' TCP has sent: stray segments, of connections that are not theirs."""
        return sum(
            int(self._programs.said(name, "answer").get("resets", 0)) for name in self._backends
        )

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
        self._programs.signal(self._clients, signal.SIGSTOP if stop else signal.SIGCONT)

    def renew(self) -> None:
        """Have every connection close when it is its turn to ask, and a new one opened."""
        self._programs.signal(self._clients, signal.SIGUSR1)

    def stop(self) -> None:
        """End all programs, clients first; LoadError when one fails."""
        self._programs.stop(self._clients, self._backends)
