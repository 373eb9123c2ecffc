"""The controller's side of a host's agent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from controller.act.host_values import DEFAULT_PORT, Holding, HostState, Running
from controller.act.unix_paths import short

TIMEOUT_S = 5.0
CHUNK = 4  # addresses held by one request: a start waits for no more than one of these
MAX_LINE_BYTES = 16 << 20


class HostDown(Exception):
    """The agent of a host does not answer."""


class HostRefused(Exception):
    """The agent says no: what was asked for cannot be."""


class Host:
    """One host, reached through its agent's socket. Starting and stopping does not wait behind holding."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self._urgent = _Wire(name, path)
        self._patient = _Wire(name, path)

    async def close(self) -> None:
        """Close the connections; shadow instances and instances go on."""
        await self._urgent.close()
        await self._patient.close()

    async def hold(self, holdings: Sequence[Holding]) -> None:
        """Make shadow instances; those that are there already stay. Raises HostDown, HostRefused, OSError."""
        for start in range(0, len(holdings), CHUNK):
            chunk = [asdict(one) for one in holdings[start : start + CHUNK]]
            await self._patient.ask(do="hold", holdings=chunk)

    async def unhold(self, addresses: Sequence[str]) -> tuple[str, ...]:
        """End shadow instances; returns the addresses of those that there were."""
        found: list[str] = []
        for start in range(0, len(addresses), CHUNK):
            found += await self._patient.ask(
                do="unhold", addresses=list(addresses[start : start + CHUNK])
            )
        return tuple(found)

    async def start(
        self, name: str, holding: Holding, *, port: int = DEFAULT_PORT, separate: bool = False
    ) -> Running:
        """Start an instance with this address and MAC (see `Instances.start`)."""
        found = await self._urgent.ask(
            do="start", name=name, holding=asdict(holding), port=port, separate=separate
        )
        return Running(**found)

    async def stop(self, name: str) -> bool:
        """Kill an instance; False when there is none of that name."""
        return bool(await self._urgent.ask(do="stop", name=name))

    async def state(self) -> HostState:
        """What really runs there now."""
        return HostState.from_json(await self._patient.ask(do="state"))


class _Wire:
    """One connection; a request at a time, connected again when it broke.

    A request that a broken connection may have carried is made again, once: every one may be made twice.
    """

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self._path = path
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._lock = asyncio.Lock()

    async def close(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()

    async def ask(self, **request: Any) -> Any:
        line = json.dumps(request).encode() + b"\n"
        async with self._lock:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    try:
                        answer = json.loads(await self._exchange(line))
                    except (ConnectionError, asyncio.IncompleteReadError):
                        await self.close()  # the agent has been started again
                        answer = json.loads(await self._exchange(line))
            except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
                await self.close()
                raise HostDown(
                    f"the agent of host {self._name} does not answer on {self._path} "
                    f"({error or type(error).__name__}); start it: python -m controller.act.host_agent"
                ) from error
            except BaseException:
                await self.close()  # an answer that nobody waits for would be taken for the next
                raise
        if "error" in answer:
            kind = HostRefused if answer.get("refused") else OSError
            raise kind(f"host {self._name}: {answer['error']}")
        return answer["ok"]

    async def _exchange(self, line: bytes) -> bytes:
        if self._streams is None:
            with short(self._path) as name:
                self._streams = await asyncio.open_unix_connection(name, limit=MAX_LINE_BYTES)
        reader, writer = self._streams
        writer.write(line)
        await writer.drain()
        answer = await reader.readuntil(b"\n")
        return answer
