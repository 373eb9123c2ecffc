"""A client that calls whoever it is told to: a connection, one request, and when the answer came.

    python -m topologies.load.caller SOCKET

It says READY and then takes orders, as lines of JSON on that socket: `{"call": N, "address": A, "port": P}`. Each is
answered with a line when the call was: `{"call": N, "answered_ns": T, "name": WHO}`, T in Unix time; null for both
when nobody answered in time. A call that is not answered soon is made again beside the first: one lost packet at the
begin of a connection would otherwise show as TCP's whole second.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from controller.act.unix_paths import short

READY = "ready"
AGAIN_S = 0.1  # after so long without an answer the same is asked over a connection more
PATIENCE_S = 5.0


async def _ask(address: str, port: int) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(b"1\n")
        line = await reader.readline()
        answered_ns = time.time_ns()
    finally:
        writer.close()
    if not line:
        raise ConnectionResetError(f"{address} hung up")
    return answered_ns, line.split(b" ")[0].decode()


async def call(address: str, port: int) -> tuple[int, str] | None:
    """When the first answer came (Unix time, ns), and the name in it; None after PATIENCE_S."""
    asking: set[asyncio.Task[tuple[int, str]]] = set()
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                asking.add(asyncio.create_task(_ask(address, port)))
                until_s = time.monotonic() + AGAIN_S
                while (left_s := until_s - time.monotonic()) > 0:
                    done, asking = await asyncio.wait(
                        asking, timeout=left_s, return_when=asyncio.FIRST_COMPLETED
                    )
                    for one in done:
                        if one.exception() is None:
                            return one.result()
                    if not asking:  # refused: nobody listens yet
                        await asyncio.sleep(until_s - time.monotonic())
    except TimeoutError:
        return None
    finally:
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    async def obey(order: dict[str, Any]) -> None:
        found = await call(order["address"], order["port"])
        answered_ns, name = found if found is not None else (None, None)
        said = {"call": order["call"], "answered_ns": answered_ns, "name": name}
        writer.write(json.dumps(said).encode() + b"\n")

    with contextlib.suppress(ConnectionError):
        async with asyncio.TaskGroup() as calls:
            while line := await reader.readline():
                calls.create_task(obey(json.loads(line)))
    writer.close()


async def _main(path: str) -> None:
    with short(Path(path)) as name:
        server = await asyncio.start_unix_server(_serve, name)
    print(READY, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
