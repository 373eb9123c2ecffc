"""Shadow instances: minimal network namespaces that answer for held addresses, and serve nothing.

What a shadow instance costs is a namespace, a veth pair and two frames a period: no process. The kernel answers ARP and
ICMP echo in it; the heartbeats of all come from one socket.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable

from controller.act.heartbeats import Pacer, uplink_socket
from controller.act.host_network import Attachment, HostNetwork
from controller.act.host_values import PERIOD_S, Held, Holding

BURST = 64  # frames read or sent before something else gets its turn
GRACE_S = 0.05  # what is on its way into a namespace that hands its address over is still answered


class Holders:
    """The shadow instances of one host, by address."""

    def __init__(
        self,
        network: HostNetwork,
        *,
        period_s: float = PERIOD_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.socket: socket.socket = uplink_socket(network.uplink)
        self._network = network
        self._clock = clock
        self._pacer = Pacer(period_s)
        self._held: dict[str, Attachment] = {}
        self._to_send: list[bytes] = []
        self._strangers: list[str] = []  # held addresses whose namespaces do not know their gateway
        self._retired: list[tuple[float, Attachment]] = []

    def close(self) -> None:
        """End all shadow instances."""
        self.unhold(tuple(self._held))
        for _, attachment in self._retired:
            self._network.remove(attachment)
        self._retired.clear()
        self.socket.close()

    def hold(self, holding: Holding) -> None:
        """Make a shadow instance, and begin its heartbeats. Holding the same again changes nothing.

        Raises ValueError when the address is held with another MAC or gateway, OSError when the kernel refuses.
        """
        before = self._held.get(holding.address)
        if before is not None:
            if before.holding != holding:
                raise ValueError(
                    f"{holding.address} is held already, as {before.holding}; unhold it first"
                )
            return
        gateway_mac = self.gateway_mac(holding.gateway)
        self._held[holding.address] = self._network.add(holding, gateway_mac=gateway_mac)
        if gateway_mac is None:
            self._strangers.append(holding.address)
        self._pacer.add(holding, self._clock())

    def unhold(self, addresses: tuple[str, ...]) -> tuple[str, ...]:
        """End these shadow instances; returns those that there were."""
        found = tuple(address for address in addresses if address in self._held)
        for address in found:
            self._pacer.remove(address)
            self._network.remove(self._held.pop(address))
        return found

    def hand_over(self, address: str) -> Attachment | None:
        """The shadow instance ends, and its namespace, which goes on answering, is the caller's; None: not held."""
        self._pacer.remove(address)
        return self._held.pop(address, None)

    def retire(self, attachment: Attachment) -> None:
        """Let go of a namespace whose address leads elsewhere by now, in a moment."""
        self._retired.append((self._clock() + GRACE_S, attachment))

    def gateway_mac(self, gateway: str) -> str | None:
        """What heartbeats have found out about a gateway."""
        return self._pacer.gateway_mac(gateway)

    def held(self) -> tuple[Held, ...]:
        """The shadow instances as they are."""
        return self._pacer.held(self._clock())

    def wait_s(self) -> float | None:
        """Until something is due."""
        now_s = self._clock()
        waits = [self._pacer.wait_s(now_s), 0.0 if self._to_send or self._known() else None]
        waits += [max(0.0, due_s - now_s) for due_s, _ in self._retired[:1]]
        return min((wait_s for wait_s in waits if wait_s is not None), default=None)

    def _known(self) -> Attachment | None:
        """A namespace that can be told its gateway now."""
        while self._strangers:
            attachment = self._held.get(self._strangers[0])
            if attachment is None:
                self._strangers.pop(0)
                continue
            return attachment if self.gateway_mac(attachment.holding.gateway) else None
        return None

    def beat(self) -> None:
        """Do what is due; the rest of much comes with the next call."""
        while self._retired and self._retired[0][0] <= self._clock():
            self._network.remove(self._retired.pop(0)[1])
        attachment = self._known()
        if attachment is not None:
            self._strangers.pop(0)
            gateway_mac = self.gateway_mac(attachment.holding.gateway)
            assert gateway_mac is not None
            with contextlib.suppress(OSError):  # then it asks by itself
                self._network.introduce(attachment, gateway_mac)
        if not self._to_send:
            self._to_send = self._pacer.due(self._clock())
        for frame in self._to_send[:BURST]:
            with contextlib.suppress(OSError):  # the uplink is down or full: silence will show it
                self.socket.send(frame)
        del self._to_send[:BURST]

    def read(self) -> None:
        """Take in answers that have come."""
        for _ in range(BURST):
            try:
                frame = self.socket.recv(2048)
            except OSError:  # nothing more, or the uplink is down
                return
            self._pacer.take(frame, self._clock())
