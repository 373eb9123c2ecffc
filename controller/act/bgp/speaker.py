"""The BGP speaker: a process of its own, which the controller starts, and which outlives it.

    python -m controller.act.bgp.speaker --socket PATH

A session that ends takes its routes with it, so the sessions live where no restart of the controller can end them.
It does nothing on its own account: it says what it was told last until it is told otherwise. If it dies itself, its
peers keep its routes for `restart_s` (RFC 4724), and the controller starts another.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import logging
import os
import signal
import socketserver
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from controller.act.bgp import threads

threads.prepare()

from os_ken.services.protocols.bgp.api.base import call  # noqa: E402
from os_ken.services.protocols.bgp.bgpspeaker import BGPSpeaker  # noqa: E402
from os_ken.services.protocols.bgp.core_manager import CORE_MANAGER  # noqa: E402
from os_ken.services.protocols.bgp.rtconf import neighbors  # noqa: E402

from controller.act.bgp import wire  # noqa: E402
from controller.act.bgp.session import Session  # noqa: E402
from controller.model.bgp import Advertisement, BgpPeer, BgpPeerState, BgpSettings  # noqa: E402

LOG = logging.getLogger("umbra.bgp")
FAREWELL_S = 0.3  # for the last segments to leave
WAKE_S = 0.5


class Speaker:
    """What peers shall know, and os-ken's speaker, which tells them. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._routes: dict[str, Mapping[str, Advertisement]] = {}
        self._settings: BgpSettings | None = None
        self._bgp: Any = None
        Session.wanted = staticmethod(lambda address: self._routes.get(address, {}))

    def apply(self, announce: wire.Routes, withdraw: Mapping[str, list[str]]) -> None:
        """Routes and prefixes by peer: told from now on, and no longer."""
        with self._lock:
            for address in {*announce, *withdraw}:
                routes = {**self._routes.get(address, {}), **announce.get(address, {})}
                for prefix in withdraw.get(address, ()):
                    routes.pop(prefix, None)
                # A new mapping, never a changed one: sessions read it without the lock.
                self._routes[address] = routes
            for address in {*announce, *withdraw}:
                session = self._session(address)
                if session is not None:
                    session.changed()

    def configure(self, settings: BgpSettings) -> None:
        """Peer with these and no others; a peer whose settings are as before keeps its session."""
        with self._lock:
            old = self._settings
            if old is None:
                self._begin(settings)
            elif (old.local_as, old.router_id) != (settings.local_as, settings.router_id):
                raise ValueError(
                    f"the BGP speaker runs as AS {old.local_as}, router {old.router_id}; to make it AS "
                    f"{settings.local_as}, router {settings.router_id} stop it first (this withdraws all routes)"
                )
            Session.settings = settings
            peers = {peer.address: peer for peer in old.peers} if old else {}
            wanted = {peer.address: peer for peer in settings.peers}
            try:
                for address in [one for one, peer in peers.items() if wanted.get(one) != peer]:
                    self._bgp.neighbor_del(address)
                    del peers[address]
                for address in [one for one in wanted if one not in peers]:
                    self._add(wanted[address])
                    peers[address] = wanted[address]
            finally:  # what there is, also when os-ken refused one
                self._settings = replace(settings, peers=tuple(peers.values()))
            for address in [address for address in self._routes if address not in wanted]:
                del self._routes[address]

    def read(self) -> dict[str, Any]:
        """All it holds: settings without passwords, routes, and how the sessions stand."""
        with self._lock:
            settings = self._settings
            public = None
            if settings is not None:
                public = wire.settings_to_json(settings)
                for peer in public["peers"]:
                    peer["password"] = None
            return {
                "settings": public,
                "routes": {
                    address: [wire.route_to_json(route) for route in routes.values()]
                    for address, routes in self._routes.items()
                },
                "peers": [wire.state_to_json(state) for state in self._states()],
                "pid": os.getpid(),
            }

    def states(self) -> list[BgpPeerState]:
        """How the sessions stand."""
        with self._lock:
            return self._states()

    def farewell(self) -> None:
        """End all sessions by NOTIFICATION: peers forget every route at once."""
        with self._lock:
            for peer in self._settings.peers if self._settings else ():
                self._bgp.neighbor_del(peer.address)

    def _begin(self, settings: BgpSettings) -> None:
        Session.settings = settings
        threads.use_sessions(Session)
        self._bgp = BGPSpeaker(
            settings.local_as,
            settings.router_id,
            bgp_server_port=0,  # it dials, and listens to nobody
        )

    def _add(self, peer: BgpPeer) -> None:
        Session.register(peer)
        call(
            "neighbor.create",
            **{
                neighbors.IP_ADDRESS: peer.address,
                neighbors.REMOTE_AS: peer.remote_as,
                neighbors.REMOTE_PORT: peer.port,
                neighbors.HOLD_TIME: peer.hold_s,
                "cap_mbgp_ipv4": peer.next_hop is not None,
                "cap_mbgp_ipv6": peer.next_hop_ipv6 is not None,
                "cap_mbgp_vpnv4": False,
                "cap_mbgp_vpnv6": False,
                "cap_enhanced_refresh": False,
                "cap_rtc": False,
            },
        )

    def _session(self, address: str) -> Session | None:
        if self._settings is None:
            return None
        session = CORE_MANAGER.get_core_service().peer_manager.get_by_addr(address)
        assert session is None or isinstance(session, Session)
        return session

    def _states(self) -> list[BgpPeerState]:
        sessions = [
            self._session(p.address) for p in (self._settings.peers if self._settings else ())
        ]
        return [session.report() for session in sessions if session is not None]


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        """One answer to each line, until the other side closes."""
        while line := self.rfile.readline(wire.LINE_LIMIT_BYTES):
            try:
                answer = {"ok": self.server.answer(json.loads(line))}
            except (ValueError, TypeError, KeyError) as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            except Exception as error:
                LOG.exception("a request failed")
                answer = {"error": f"the BGP speaker failed: {error!r}; see its log"}
            self.wfile.write(json.dumps(answer).encode() + b"\n")


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path: Path, speaker: Speaker) -> None:
        self.speaker = speaker
        self.over = threading.Event()
        path.unlink(missing_ok=True)
        old = os.umask(0o177)  # nobody but the owner may speak in umbra's name
        try:
            super().__init__(str(path), _Handler)
        finally:
            os.umask(old)

    def answer(self, request: Mapping[str, Any]) -> Any:
        """Do what is asked. ValueError, TypeError or KeyError if it makes no sense."""
        if request.get("version") != wire.VERSION and request["do"] != "stop":
            raise ValueError(
                f"the running BGP speaker speaks version {wire.VERSION} of this protocol, the controller "
                f"{request.get('version')}: stop the speaker once (`stop`, or SIGTERM to keep the routes)"
            )
        match request["do"]:
            case "read":
                return self.speaker.read()
            case "states":
                return [wire.state_to_json(state) for state in self.speaker.states()]
            case "configure":
                self.speaker.configure(wire.settings_from_json(request["settings"]))
            case "apply":
                self.speaker.apply(
                    {
                        address: {r.prefix: r for r in map(wire.route_from_json, routes)}
                        for address, routes in request["announce"].items()
                    },
                    request["withdraw"],
                )
            case "stop":
                self.speaker.farewell()
                self.over.set()
            case unknown:
                raise ValueError(f"the BGP speaker cannot do {unknown!r}")
        return None


def _only_one(path: Path) -> int:
    """The lock of this socket, held while the process lives; ends the process if another speaker has it."""
    descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        LOG.error("another BGP speaker serves %s: talk to that one", path)
        sys.exit(wire.ANOTHER_SERVES)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def main() -> None:
    """Serve until `stop` (withdraws all), SIGTERM or SIGKILL (peers keep the routes for a while)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--socket", type=Path, required=True, help="where the controller speaks to it"
    )
    path = parser.parse_args().socket
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("bgpspeaker").setLevel(logging.WARNING)
    _only_one(path)
    server = _Server(path, Speaker())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))  # no NOTIFICATION: routes stay (RFC 4724, 4)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # A signal that another thread got, as after SIGCONT, is handled when this one wakes.
    while not server.over.wait(WAKE_S):
        pass
    path.unlink(missing_ok=True)
    # os-ken's threads are no daemons, and there is nothing left to wait for.
    threading.Event().wait(FAREWELL_S)
    os._exit(0)


if __name__ == "__main__":
    main()
