"""One BGP session: os-ken's peer, which keeps the state machine and the timers, with a sender of our own.

os-ken's BGP code was written for green threads. On its native threads (green ones are deprecated) its queues and
tables lose wake-ups and entries, it sends IPv6 routes to peers that did not ask for the family, it forgets to withdraw
what is announced and withdrawn in quick succession, and has no graceful restart. So what a peer is told does
not go through them: a session compares what was sent on it with what the peer shall know, and sends the difference.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from os_ken.lib.packet import bgp
from os_ken.services.protocols.bgp import constants
from os_ken.services.protocols.bgp.base import BGPSException
from os_ken.services.protocols.bgp.peer import Peer, PeerCounterNames

from controller.act.bgp.sockets import connect
from controller.act.bgp.updates import FAMILY, announcements, end_of_rib, withdrawals
from controller.model.bgp import Advertisement, BgpPeer, BgpPeerState, BgpSettings

LOG = logging.getLogger("umbra.bgp")

RESTARTED = 0x8  # graceful restart: this speaker has just started (RFC 4724, 3)
FORWARDING_KEPT = 0x80  # the P4 routers forward whether or not this process runs
ROUTE_REFRESH_REQUEST = 0  # RFC 7313: 1 and 2 only mark its begin and end

Wanted = Callable[[str], Mapping[str, Advertisement]]


class Session(Peer):  # type: ignore[misc]
    """What os-ken's speaker makes for each neighbour, once `Session.register` has named the peer.

    `wanted(address)` is what the peer shall know; it is called without locks, and gives a mapping that nobody changes.
    """

    _known: dict[str, BgpPeer] = {}  # noqa: RUF012 - by address; os-ken makes the instances, and knows no settings
    settings: BgpSettings
    wanted: Wanted
    started_s = time.time()

    @classmethod
    def register(cls, peer: BgpPeer) -> None:
        """Before the neighbour of that address is added to os-ken's speaker."""
        cls._known[peer.address] = peer

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.peer = self._known[self._neigh_conf.ip_address]
        self._condition = threading.Condition()
        self._stopped = False
        self._again = False  # the peer may lack something: compare
        self._asked: set[int] = set()  # families that the peer wants to hear again
        self._dialled_s = 0.0
        self._sent: dict[str, Advertisement] = {}
        self._markers: tuple[int, ...] = ()  # families whose End-of-RIB is due
        self._since_s = time.time()
        self._error: str | None = None

    # What is asked of it

    def changed(self) -> None:
        """What the peer shall know has changed."""
        with self._condition:
            self._again = True
            self._condition.notify_all()

    def report(self) -> BgpPeerState:
        """How the session stands."""
        wanted = type(self).wanted(self.peer.address)
        with self._condition:
            sent = self._sent
        return BgpPeerState(
            name=self.peer.name,
            address=self.peer.address,
            remote_as=self.peer.remote_as,
            state=str(self.state.bgp_state),
            since_s=self._since_s,
            advertised=sum(1 for prefix, route in sent.items() if wanted.get(prefix) == route),
            wanted=len(wanted),
            withdrawing=sum(1 for prefix in sent if prefix not in wanted),
            updates_received=self.state.get_count(PeerCounterNames.RECV_UPDATES),
            sessions=self.state.get_count(PeerCounterNames.FSM_ESTB_TRANSITIONS),
            last_error=self._error,
        )

    # Its two threads: one connects, one sends

    def _run(self, _client_factory: Any) -> None:
        self._spawn("connect", self._connecting)
        self._sending()

    def stop(self) -> None:
        """End both threads."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()

    def _connecting(self) -> None:
        """Dial whenever there is no session. os-ken's own loop cannot be told of TTLs, nor to give up waiting."""
        while not self._stopped:
            idle = self.state.bgp_state in (constants.BGP_FSM_IDLE, constants.BGP_FSM_ACTIVE)
            # By then the last attempt is over, whatever became of it: its socket has timed out.
            late = time.monotonic() - self._dialled_s > 2 * self.peer.hold_s
            if self._neigh_conf.enabled and self._protocol is None and (idle or late):
                self._dial()
            with self._condition:
                self._condition.wait_for(
                    lambda: self._stopped, timeout=self.settings.connect_retry_s
                )

    def _dial(self) -> None:
        self._dialled_s = time.monotonic()
        self.state.bgp_state = constants.BGP_FSM_CONNECT
        try:
            sock = connect(self.peer)
        except OSError as error:
            self._note(str(error))
            self.state.bgp_state = constants.BGP_FSM_ACTIVE
            return
        core = self._core_service
        protocol = core.protocol(sock, self._signal_bus, is_reactive_conn=False)
        self._host_bind_ip, self._host_bind_port = self.get_localname(sock)
        core._spawn_activity(protocol, self)

    def _sending(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._stopped or (self._again and self._ready()))
                if self._stopped:
                    return
                self._again = False
                protocol, markers, self._markers = self._protocol, self._markers, ()
                asked, self._asked = self._asked, set()
                sent = {p: one for p, one in self._sent.items() if one.version not in asked}
            try:
                self._send_difference(protocol, sent, markers)
            except (OSError, BGPSException) as error:
                self._note(f"sending: {error}")  # the session is over; the next one starts afresh
            except Exception:
                LOG.exception("%s: sending failed", self.peer.name)

    def _ready(self) -> bool:
        return self._protocol is not None and bool(self.in_established())

    def _send_difference(
        self, protocol: Any, sent: dict[str, Advertisement], markers: tuple[int, ...]
    ) -> None:
        """Make before break: a wider or narrower prefix is announced before the one it replaces is withdrawn."""
        wanted = {
            prefix: route
            for prefix, route in type(self).wanted(self.peer.address).items()
            if protocol.is_mbgp_cap_valid(FAMILY[route.version])
        }
        fresh = [route for prefix, route in wanted.items() if sent.get(prefix) != route]
        gone = [prefix for prefix in sent if prefix not in wanted]
        for message in announcements(
            fresh,
            local_as=self.settings.local_as,
            external=self.is_ebgp_peer(),
            four_octet_as=protocol.is_four_octet_as_number_cap_valid(),
        ):
            self._transmit(protocol, message)
        for message in withdrawals(gone):
            self._transmit(protocol, message)
        for version in markers:
            self._transmit(protocol, end_of_rib(version))
        with self._condition:
            if protocol is self._protocol:
                self._sent = wanted

    def _transmit(self, protocol: Any, message: Any) -> None:
        protocol.send(message)
        self.state.incr(PeerCounterNames.SENT_UPDATES)

    def farewell(self) -> None:
        """End the session by NOTIFICATION: the peer forgets all routes at once."""
        protocol = self._protocol
        if protocol is None:
            return
        protocol._send_with_lock(
            bgp.BGPNotification(bgp.BGP_ERROR_CEASE, bgp.BGP_ERROR_SUB_ADMINISTRATIVE_SHUTDOWN)
        )
        with suppress(OSError):
            protocol._socket.shutdown(
                socket.SHUT_RDWR
            )  # wakes the thread that reads, which cleans up

    # What os-ken calls

    def on_update_enabled(self, conf_evt: Any) -> None:
        """The neighbour is about to be removed."""
        if not conf_evt.value:
            self.farewell()

    def create_open_msg(self) -> Any:
        """OPEN with the graceful restart capability: forwarding goes on while this process is away."""
        message = super().create_open_msg()
        restarted = time.time() - self.started_s < self.settings.restart_s
        families = [
            (FAMILY[version].afi, FAMILY[version].safi, FORWARDING_KEPT)
            for version in self._versions()
        ]
        message.opt_param.append(
            bgp.BGPOptParamCapabilityGracefulRestart(
                RESTARTED if restarted else 0, self.settings.restart_s, families
            )
        )
        return message

    def _versions(self) -> tuple[int, ...]:
        hops = {4: self.peer.next_hop, 6: self.peer.next_hop_ipv6}
        return tuple(version for version, hop in hops.items() if hop is not None)

    def handle_msg(self, msg: Any) -> None:
        """KEEPALIVE, UPDATE or ROUTE-REFRESH from the peer."""
        if msg.type == bgp.BGP_MSG_UPDATE:
            # umbra routes nothing by what routers tell it, so none of it is kept.
            self.state.incr(PeerCounterNames.RECV_UPDATES)
        elif msg.type == bgp.BGP_MSG_ROUTE_REFRESH:
            if msg.demarcation == ROUTE_REFRESH_REQUEST:
                self.state.incr(PeerCounterNames.RECV_REFRESH)
                self._tell_again(4 if msg.afi == FAMILY[4].afi else 6)
        else:
            super().handle_msg(msg)

    def _tell_again(self, version: int) -> None:
        with self._condition:
            self._asked.add(version)
            self._again = True
            self._condition.notify_all()

    def _enqueue_init_updates(self) -> None:
        """The session is established."""
        if self._protocol.recv_open_msg.hold_time == 0:
            self._protocol._socket.settimeout(None)  # no keepalives: silence means nothing
        with self._condition:
            self._since_s = time.time()
            self._error = None
            self._sent = {}
            self._markers = tuple(
                version
                for version in self._versions()
                if self._protocol.is_mbgp_cap_valid(FAMILY[version])
            )
            self._again = True
            self._condition.notify_all()
        LOG.info("%s: session established", self.peer.name)

    def connection_lost(self, reason: str | None) -> None:
        """The session, or an attempt at one, is over."""
        with self._condition:
            if self.in_established():
                LOG.warning("%s: session lost: %s", self.peer.name, reason)
            self._note(reason or "closed")
            self._since_s = time.time()
            self._sent = {}
            super().connection_lost(reason)

    def _note(self, error: str) -> None:
        if error != self._error:
            LOG.info("%s: %s", self.peer.name, error)
        self._error = error
