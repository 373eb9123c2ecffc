"""Calls from a host of the emulated network: who is called, and when the first answer came."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from controller.act.unix_paths import short
from topologies.load.caller import READY
from topologies.load.programs import LoadError
from topologies.net import Network


@dataclass(frozen=True, slots=True)
class Answer:
    """The first answer to a call: when it came (Unix time), and the name of who gave it."""

    answered_ns: int
    name: str


class Calls:
    """Orders to the calling program (`topologies.load.caller`), any number at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._number = 0
        self._waiting: dict[int, asyncio.Future[Answer | None]] = {}

    async def call(self, address: str, port: int) -> Answer | None:
        """Call; None when nobody answered in time. LoadError when the program has ended."""
        self._number += 1
        answer: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._waiting[self._number] = answer
        order = {"call": self._number, "address": address, "port": port}
        self._writer.write(json.dumps(order).encode() + b"\n")
        return await answer

    async def listen(self) -> None:
        """Take in the answers, for as long as the program runs."""
        while line := await self._reader.readline():
            said = json.loads(line)
            answer = self._waiting.pop(said["call"])
            if not answer.done():
                found = said["answered_ns"] is not None
                answer.set_result(Answer(said["answered_ns"], said["name"]) if found else None)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(LoadError("the calling client ended early; see its log"))


@asynccontextmanager
async def calls(network: Network, host: str, directory: Path) -> AsyncIterator[Calls]:
    """The program on a host, while the block runs. LoadError when it does not start."""
    directory.mkdir(parents=True, exist_ok=True)
    path, log = directory / f"{host}.calls", directory / f"{host}-calls.log"
    command = [sys.executable, "-m", "topologies.load.caller", str(path)]
    program = network.run(host, command, stdout=subprocess.PIPE, log=log)
    assert program.stdout is not None
    said = await asyncio.to_thread(program.stdout.readline)
    if said.strip() != READY.encode():
        raise LoadError(f"the calling client on {host} did not start; see {log}")
    with short(path) as name:
        reader, writer = await asyncio.open_unix_connection(name)
    made = Calls(reader, writer)
    listening = asyncio.create_task(made.listen())
    try:
        yield made
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening
        writer.close()
        program.terminate()  # the network waits for it
