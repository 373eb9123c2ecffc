"""Heartbeats of held addresses: one raw socket for all that a host holds.

A beat is two ARP requests from the address (RFC 826): one for itself, an announcement (RFC 5227, 3), from which every
neighbour that has an entry for it takes its MAC, and one for the gateway, which refreshes the gateway's entry. The data
plane answers the first when the row of the held address is there, with the MAC that the row has: it confirms that the
address can be handed over.
"""

from __future__ import annotations

import ctypes
import heapq
import random
import socket
import struct
from dataclasses import dataclass

from controller.act.host_values import PERIOD_S, Held, Holding

ETH_P_ALL, ETH_P_ARP = 3, 0x0806
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
SO_ATTACH_FILTER = 26
JITTER = 0.1  # of the period: addresses that were held together do not beat together for ever
REQUEST, REPLY = 1, 2
BROADCAST = b"\xff" * 6
_ARP = struct.Struct("!6s6sHHHBBH6s4s6s4s")


def arp_request(mac: bytes, sender: bytes, target: bytes) -> bytes:
    """The frame: who has `target`, tell `sender`. Addresses as they travel: 6 and 4 bytes."""
    return _ARP.pack(
        BROADCAST, mac, ETH_P_ARP, 1, 0x0800, 6, 4, REQUEST, mac, sender, bytes(6), target
    )


def arp_answer(frame: bytes) -> tuple[bytes, bytes, bytes] | None:
    """(MAC it is for, address it is about, MAC of that) of an ARP reply; None for any other frame."""
    if len(frame) < _ARP.size:
        return None
    to, _, kind, hardware, protocol, _, _, operation, mac, about, _, _ = _ARP.unpack_from(frame)
    if (kind, hardware, protocol, operation) != (ETH_P_ARP, 1, 0x0800, REPLY):
        return None
    return to, about, mac


@dataclass(slots=True)
class _Beating:
    number: int  # of the beginning: what is due of an earlier one is void
    holding: Holding
    mac: bytes
    gateway: bytes
    frames: tuple[bytes, bytes]
    answered_s: float | None = None
    confirmed: bool = False
    disputed: bool = False


class Pacer:
    """When whose heart beats, and who was answered. Time is an argument."""

    def __init__(self, period_s: float = PERIOD_S, seed: int = 0) -> None:
        self.period_s = period_s
        self._random = random.Random(seed)
        self._beating: dict[bytes, _Beating] = {}  # by address
        self._addresses: dict[bytes, bytes] = {}  # by MAC
        self._gateways: dict[bytes, str] = {}
        self._due: list[tuple[float, int, bytes]] = []
        self._begun = 0

    def __len__(self) -> int:
        return len(self._beating)

    def add(self, holding: Holding, now_s: float) -> None:
        """The first beat is due at once."""
        address, gateway = socket.inet_aton(holding.address), socket.inet_aton(holding.gateway)
        mac = bytes.fromhex(holding.mac.replace(":", ""))
        frames = arp_request(mac, address, address), arp_request(mac, address, gateway)
        self._begun += 1
        heapq.heappush(self._due, (now_s, self._begun, address))
        self._beating[address] = _Beating(self._begun, holding, mac, gateway, frames)
        self._addresses[mac] = address

    def remove(self, address: str) -> None:
        """It beats no more; an address that does not beat is left alone."""
        gone = self._beating.pop(socket.inet_aton(address), None)
        if gone is not None:
            self._addresses.pop(gone.mac, None)
        if len(self._due) > 2 * len(self._beating) + 64:
            self._due = [one for one in self._due if self._current(*one[1:])]
            heapq.heapify(self._due)

    def _current(self, number: int, address: bytes) -> bool:
        beating = self._beating.get(address)
        return beating is not None and beating.number == number

    def due(self, now_s: float) -> list[bytes]:
        """Frames to send now."""
        frames: list[bytes] = []
        while self._due and self._due[0][0] <= now_s:
            _, number, address = heapq.heappop(self._due)
            if self._current(number, address):
                frames += self._beating[address].frames
                next_s = self.period_s * (1 + self._random.uniform(-JITTER, JITTER))
                heapq.heappush(self._due, (now_s + next_s, number, address))
        return frames

    def wait_s(self, now_s: float) -> float | None:
        """Until a beat is due; None when there is nothing to wait for."""
        return max(0.0, self._due[0][0] - now_s) if self._due else None

    def take(self, frame: bytes, now_s: float) -> None:
        """A frame came in on the uplink."""
        answer = arp_answer(frame)
        if answer is None:
            return
        to, about, mac = answer
        beating = self._beating.get(about)
        if beating is not None:
            beating.confirmed = mac == beating.mac
            beating.disputed = not beating.confirmed
            if beating.confirmed:
                beating.answered_s = now_s
        asker = self._beating.get(self._addresses.get(to, b""))
        if asker is not None and about == asker.gateway:
            asker.answered_s = now_s
            self._gateways[about] = mac.hex(":")

    def gateway_mac(self, gateway: str) -> str | None:
        """The MAC that a gateway last answered with; None: it has not yet."""
        return self._gateways.get(socket.inet_aton(gateway))

    def held(self, now_s: float) -> tuple[Held, ...]:
        """Everybody that beats, in the order in which they began."""
        return tuple(
            Held(
                one.holding.address,
                one.holding.mac,
                None if one.answered_s is None else round(now_s - one.answered_s, 3),
                one.confirmed,
                one.disputed,
            )
            for one in self._beating.values()
        )


def uplink_socket(uplink: str) -> socket.socket:
    """Sends frames out of the uplink, past the bridge, and hears the ARP replies that come in there (packet(7))."""
    code = (
        (0x28, 0, 0, 12),  # load the type
        (0x15, 0, 3, ETH_P_ARP),
        (0x28, 0, 0, 20),  # load the operation
        (0x15, 0, 1, REPLY),
        (0x06, 0, 0, 0xFFFF),  # take the frame
        (0x06, 0, 0, 0),  # leave it
    )
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in code))
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    try:
        attached = struct.pack("HP", len(code), ctypes.addressof(program))
        sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, attached)
        sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        # All protocols: ARP alone would be heard behind the bridge only, which keeps what comes in on its ports.
        sock.bind((uplink, ETH_P_ALL))
    except BaseException:
        sock.close()
        raise
    return sock
