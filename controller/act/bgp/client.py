"""The controller's side of the BGP speaker: start it if there is none, compare, write the difference."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from controller.act.bgp import wire
from controller.model.bgp import Advertisement, BgpPeerState, BgpSettings

START_TIMEOUT_S = 20.0
ANSWER_TIMEOUT_S = 30.0
STARTS = 2  # of a speaker that dies before it answers
POLL_S = 0.02
SOCKET_PATH_LIMIT = 107  # bytes, unix(7)


class BgpSpeakerError(RuntimeError):
    """The BGP speaker could not be started, or refused."""


@dataclass(frozen=True, slots=True)
class Change:
    """What had to be written: routes and prefixes, by peer address."""

    announce: Mapping[str, tuple[Advertisement, ...]]
    withdraw: Mapping[str, tuple[str, ...]]

    def __bool__(self) -> bool:
        return any(self.announce.values()) or any(self.withdraw.values())

    @property
    def announced(self) -> int:
        """Routes, over all peers."""
        return sum(map(len, self.announce.values()))

    @property
    def withdrawn(self) -> int:
        """Prefixes, over all peers."""
        return sum(map(len, self.withdraw.values()))


def difference(desired: Mapping[str, Iterable[Advertisement]], advertised: wire.Routes) -> Change:
    """What turns `advertised` into `desired`. ValueError for a prefix twice at one peer, or with host bits."""
    announce: dict[str, tuple[Advertisement, ...]] = {}
    withdraw: dict[str, tuple[str, ...]] = {}
    for address in sorted({*desired, *advertised}):
        now = advertised.get(address, {})
        wanted: dict[str, Advertisement] = {}
        for route in desired.get(address, ()):
            prefix = wire.canonical(route.prefix)
            if prefix in wanted:
                raise ValueError(f"peer {address} would be told {prefix} twice")
            wanted[prefix] = route if route.prefix == prefix else replace(route, prefix=prefix)
        fresh = tuple(route for prefix, route in wanted.items() if now.get(prefix) != route)
        gone = tuple(sorted(prefix for prefix in now if prefix not in wanted))
        if fresh:
            announce[address] = fresh
        if gone:
            withdraw[address] = gone
    return Change(announce, withdraw)


class BgpSpeaker:
    """The speaker that serves a socket in `run_dir`, whoever started it.

    Everything is read back from it: this object remembers nothing, so that a new controller goes on where the old one
    ended. Nothing here ends the speaker but `stop`.
    """

    def __init__(self, run_dir: Path) -> None:
        self.socket = run_dir / "bgp.sock"
        self.log = run_dir / "bgp.log"
        if len(str(self.socket).encode()) > SOCKET_PATH_LIMIT:
            raise BgpSpeakerError(
                f"{self.socket} is too long for a Unix socket ({SOCKET_PATH_LIMIT} bytes): choose another directory"
            )
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()

    async def sync(
        self, settings: BgpSettings, desired: Mapping[str, Iterable[Advertisement]]
    ) -> Change:
        """Have these peers, and tell each what is desired (by peer address); starts the speaker if need be.

        Only differences are written. Routes come before peers: a session that begins has all of them, and peers that
        kept the routes of a speaker that died see none of them missing.
        """
        known = {peer.address for peer in settings.peers}
        unknown = set(desired) - known
        if unknown:
            raise ValueError(f"routes for {', '.join(sorted(unknown))}, which are no BGP peers")
        held = await self.read()
        change = difference(desired, held.routes)
        if change:
            await self._ask(
                do="apply",
                announce={
                    address: [wire.route_to_json(route) for route in routes]
                    for address, routes in change.announce.items()
                },
                withdraw={address: list(gone) for address, gone in change.withdraw.items()},
            )
        # Passwords cannot be read back, so this is written each time; what is the same changes nothing.
        await self._ask(do="configure", settings=wire.settings_to_json(settings))
        return change

    async def read(self) -> Held:
        """What the speaker holds; starts it if there is none."""
        return _held(await self._ask(do="read"))

    async def look(self) -> Held | None:
        """What the speaker holds, or None when there is none: starts nothing."""
        if self._streams is None and not await self._connect():
            return None
        return await self.read()

    async def states(self) -> tuple[BgpPeerState, ...]:
        """How the sessions stand; starts the speaker if there is none."""
        return tuple(map(wire.state_from_json, await self._ask(do="states")))

    async def settled(self, timeout_s: float) -> bool:
        """Wait until every peer was sent all that it is to know; False when the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not all(state.settled for state in await self.states()):
                    await asyncio.sleep(POLL_S)
                return True
        return False

    async def stop(self) -> None:
        """End the speaker and all its sessions: every route is withdrawn. Nothing happens if there is none."""
        if await self._connect():
            await self._ask(do="stop")
            reader, _ = self._streams or (None, None)
            if reader is not None:
                with suppress(OSError):
                    await reader.read()  # until it is gone
        await self.close()

    async def close(self) -> None:
        """Leave it: it goes on."""
        if self._streams is not None:
            self._streams[1].close()
            with suppress(OSError):
                await self._streams[1].wait_closed()
            self._streams = None

    async def _ask(self, **request: Any) -> Any:
        async with self._turn:
            line = json.dumps({"version": wire.VERSION, **request}).encode() + b"\n"
            started = 0
            while True:
                if self._streams is None and not await self._connect():
                    started += 1
                    await self._start()
                try:
                    return await self._exchange(line)
                except (OSError, EOFError) as error:
                    await self.close()
                    if started == STARTS:
                        raise BgpSpeakerError(
                            f"the BGP speaker does not stay up ({error!r}); see {self.log}"
                        ) from error
                    # It died, and its socket may still take connections for a moment.
                    await asyncio.sleep(POLL_S)

    async def _exchange(self, line: bytes) -> Any:
        assert self._streams is not None
        reader, writer = self._streams
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                writer.write(line)
                await writer.drain()
                answer = await reader.readline()
        except TimeoutError:
            await self.close()
            raise BgpSpeakerError(
                f"the BGP speaker gave no answer within {ANSWER_TIMEOUT_S:g} s; see {self.log}"
            ) from None
        if not answer.endswith(b"\n"):
            raise EOFError("it closed the connection")
        data = json.loads(answer)
        if "error" in data:
            raise BgpSpeakerError(str(data["error"]))
        return data["ok"]

    async def _connect(self) -> bool:
        with suppress(OSError):
            self._streams = await asyncio.open_unix_connection(
                str(self.socket), limit=wire.LINE_LIMIT_BYTES
            )
            return True
        return False

    async def _start(self) -> None:
        """Start the speaker, and connect to it or to the one that another controller started meanwhile."""
        self.socket.parent.mkdir(parents=True, exist_ok=True)
        deadline_s = asyncio.get_running_loop().time() + START_TIMEOUT_S
        process = self._spawn()
        while not await self._connect():
            code = process.poll()
            late = asyncio.get_running_loop().time() > deadline_s
            if late or code not in (None, wire.ANOTHER_SERVES):
                raise BgpSpeakerError(
                    f"the BGP speaker did not start (exit code {code}); see {self.log}"
                )
            if code == wire.ANOTHER_SERVES:  # that one is about to begin, or about to end
                process = self._spawn()
            await asyncio.sleep(POLL_S)
        if self._serving() != process.pid:
            process.terminate()  # it came second: it must not begin when the first one is stopped

    def _serving(self) -> int | None:
        """Process id of the speaker; it is written before the socket is there."""
        with suppress(OSError, ValueError):
            return int(self.socket.with_suffix(".lock").read_text())
        return None

    def _spawn(self) -> subprocess.Popen[bytes]:
        """A speaker in a session of its own: no signal for the controller's group reaches it."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", __package__ + ".speaker", "--socket", str(self.socket)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONWARNINGS": "ignore"},
            )


@dataclass(frozen=True, slots=True)
class Held:
    """What a speaker holds. `settings` have no passwords; None before the first `sync`."""

    pid: int
    settings: BgpSettings | None
    routes: Mapping[str, Mapping[str, Advertisement]]
    peers: tuple[BgpPeerState, ...]


def _held(data: Mapping[str, Any]) -> Held:
    return Held(
        pid=data["pid"],
        settings=wire.settings_from_json(data["settings"]) if data["settings"] else None,
        routes={
            address: {route.prefix: route for route in map(wire.route_from_json, routes)}
            for address, routes in data["routes"].items()
        },
        peers=tuple(map(wire.state_from_json, data["peers"])),
    )
