"""The client that watches an address, as a benchmark runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Self

from topologies.bench.addresses.client import READY
from topologies.net import Network

CLIENT = "c1"
TIMEOUT_S = 10.0

Said = dict[str, Any]


class Watch:
    """Runs on the client's host while the `with` block does; `what` is "ping" or "connect"."""

    def __init__(self, network: Network, what: str, address: str, host: str = CLIENT) -> None:
        command = [sys.executable, "-m", "topologies.bench.addresses.client", what, address]
        self._what = f"{what} {address}"
        self._program = network.run(host, command, stdout=subprocess.PIPE)

    def __enter__(self) -> Self:
        assert self._program.stdout is not None
        if self._program.stdout.readline().strip() != READY.encode():
            raise RuntimeError(f"the client did not start: {self._what}; see its log")
        return self

    def __exit__(self, *_: object) -> None:
        self._program.kill()
        self._program.wait()
        if self._program.stdout is not None:
            self._program.stdout.close()

    def said(self, end: bool = False) -> Said:
        """What it found: after its end, which it is told when `end`. RuntimeError when it does not come."""
        if end:
            self._program.terminate()
        try:
            output, _ = self._program.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"the client waited {TIMEOUT_S:g} s in vain: {self._what}") from None
        if not output:
            raise RuntimeError(f"the client found nothing: {self._what}; see its log")
        found: Said = json.loads(output)
        return found
