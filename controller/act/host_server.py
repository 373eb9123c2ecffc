"""What a host's agent does: answers requests over a socket of the file system, beats, watches its instances.

One thread, so that it may change namespaces. A request and its answer are a line of JSON each.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from controller.act.holders import Holders
from controller.act.host_network import HostNetwork
from controller.act.host_values import DEFAULT_PORT, Holding, HostState
from controller.act.instances import Instance, Instances
from controller.act.spawner import Spawner
from controller.act.unix_paths import short

MAX_LINE_BYTES = 1 << 20


@dataclass(slots=True)
class _Client:
    sock: socket.socket
    rest: bytes = b""
    to_send: bytes = b""


class HostAgent:
    """Serves until told to stop."""

    def __init__(
        self, uplink: str, path: Path, spawner: Spawner, *, period_s: float, ephemeral: bool
    ) -> None:
        self._selector = selectors.DefaultSelector()
        self._network = HostNetwork(uplink)
        self._holders = Holders(self._network, period_s=period_s)
        self._instances = Instances(self._network, self._holders, spawner, die_with_agent=ephemeral)
        self._path = path
        self._server = self._listen()
        self._ending = False
        self._actions: dict[str, Callable[[dict[str, Any]], Any]] = {
            "hold": self._hold,
            "unhold": self._unhold,
            "start": self._start,
            "stop": self._stop,
            "state": lambda _: self._state().to_json(),
        }

    def _listen(self) -> socket.socket:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        before = os.umask(0o177)
        try:
            with short(self._path) as name:
                server.bind(name)
        finally:
            os.umask(before)
        server.listen()
        return server

    def serve(self) -> None:
        """Serve until SIGTERM."""
        self._selector.register(self._server, selectors.EVENT_READ, self._accept)
        self._selector.register(self._holders.socket, selectors.EVENT_READ, self._holders.read)
        for instance in self._instances.all():
            self._watch(instance)
        while not self._ending:
            for key, _ in self._selector.select(self._holders.wait_s()):
                key.data()
            self._holders.beat()

    def wake_by(self, sock: socket.socket) -> None:
        """What comes in here wakes `serve` up: a signal's number (signal.set_wakeup_fd)."""
        self._selector.register(sock, selectors.EVENT_READ, lambda: sock.recv(64))

    def end(self, *_: int | FrameType | None) -> None:
        """Leave `serve` after what is under way."""
        self._ending = True

    def close(self) -> None:
        """End the shadow instances, and those instances that die with the agent."""
        self._server.close()
        self._path.unlink(missing_ok=True)
        self._instances.close()
        self._holders.close()
        self._network.close()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            sock, _ = self._server.accept()
            sock.setblocking(False)
            client = _Client(sock)
            self._selector.register(sock, selectors.EVENT_READ, lambda: self._talk(client))

    def _talk(self, client: _Client) -> None:
        """One request at a time: the others have their turn in between."""
        try:
            if client.to_send:
                client.to_send = client.to_send[client.sock.send(client.to_send) :]
            else:
                data = client.sock.recv(65536)
                client.rest += data
                if not data or len(client.rest) > MAX_LINE_BYTES:
                    raise ConnectionError
            while b"\n" in client.rest and not client.to_send:
                line, _, client.rest = client.rest.partition(b"\n")
                answer = json.dumps(self._answer(line)).encode() + b"\n"
                client.to_send = answer  # whole, should nothing of it be taken now
                client.to_send = answer[client.sock.send(answer) :]
        except BlockingIOError:
            pass
        except OSError:
            self._selector.unregister(client.sock)
            client.sock.close()
            return
        events = selectors.EVENT_WRITE if client.to_send else selectors.EVENT_READ
        self._selector.modify(client.sock, events, lambda: self._talk(client))

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            action = self._actions.get(request["do"])
            if action is None:
                raise ValueError(f"the agent cannot {request['do']!r}: {', '.join(self._actions)}")
            return {"ok": action(request)}
        except (ValueError, KeyError, TypeError) as error:
            return {"error": f"{type(error).__name__}: {error}", "refused": True}
        except OSError as error:
            return {"error": str(error), "refused": False}

    def _hold(self, request: dict[str, Any]) -> list[str]:
        holdings = [Holding(**one) for one in request["holdings"]]
        taken = {one.address: one.name for one in self._instances.running()}
        for holding in holdings:
            if holding.address in taken:
                raise ValueError(f"{holding.address} is that of instance {taken[holding.address]}")
            self._holders.hold(holding)
        return [holding.address for holding in holdings]

    def _unhold(self, request: dict[str, Any]) -> list[str]:
        return list(self._holders.unhold(tuple(request["addresses"])))

    def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        known = {one.running.name for one in self._instances.all()}
        instance = self._instances.start(
            request["name"],
            Holding(**request["holding"]),
            port=request.get("port", DEFAULT_PORT),
            separate=request.get("separate", False),
        )
        if instance.running.name not in known:
            self._watch(instance)
        return self._running(instance)

    def _running(self, instance: Instance) -> dict[str, Any]:
        state = HostState((), (instance.running,)).to_json()
        running: dict[str, Any] = state["instances"][0]
        return running

    def _watch(self, instance: Instance) -> None:
        def ended() -> None:
            if any(one is instance for one in self._instances.all()):  # else it was just stopped
                self._selector.unregister(instance.ended)
                self._instances.reap(instance)

        self._selector.register(instance.ended, selectors.EVENT_READ, ended)

    def _stop(self, request: dict[str, Any]) -> bool:
        for instance in self._instances.all():
            if instance.running.name == request["name"]:
                self._selector.unregister(instance.ended)
                self._instances.stop(instance.running.name)
                return True
        return False

    def _state(self) -> HostState:
        return HostState(self._holders.held(), self._instances.running())
