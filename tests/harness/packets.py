"""Packets of a client, of a backend, and between stages."""

from __future__ import annotations

from typing import Any

from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from harness.small import CLIENT_IP, CLIENT_MAC, R1, VIP, mac


def tcp(
    sport: int, flags: str = "S", *, at: str = "e1", payload: bytes = b"", **fields: Any
) -> bytes:
    """From the client to the web service, as it arrives at an edge."""
    ip = IP(src=CLIENT_IP, dst=VIP, **fields)
    return bytes(
        Ether(src=CLIENT_MAC, dst=mac(at)) / ip / TCP(sport=sport, dport=80, flags=flags) / payload
    )


def udp(sport: int, payload: bytes = b"?") -> bytes:
    """From the client to the DNS service."""
    ip = IP(src=CLIENT_IP, dst=VIP)
    return bytes(Ether(src=CLIENT_MAC, dst=mac("e1")) / ip / UDP(sport=sport, dport=53) / payload)


def reply(sport: int, flags: str = "SA") -> Packet:
    """From the web service to the client, without Ethernet."""
    return IP(src=VIP, dst=CLIENT_IP) / TCP(sport=80, dport=sport, flags=flags)


def labelled(label: int, inner: Packet | bytes, *, to: str, ttl: int = 63) -> bytes:
    """A packet between stages: an IP packet, or a frame whose Ethernet header is replaced."""
    body = inner if isinstance(inner, Packet) else Ether(inner)[IP]
    return bytes(
        Ether(src=mac("e1"), dst=mac(to), type=0x8847) / MPLS(label=label, s=1, ttl=ttl) / body
    )


def arriving(sport: int, flags: str = "S", payload: bytes = b"") -> bytes:
    """From the client to the web service, as an edge sends it to r1."""
    return labelled(R1, tcp(sport, flags, payload=payload), to="r1")


def label_of(packet: bytes) -> int | None:
    """The MPLS label on top, or None."""
    frame = Ether(packet)
    return int(frame[MPLS].label) if MPLS in frame else None


def inner(packet: bytes) -> Packet:
    """The IP packet inside, parsed from its bytes, labelled or not."""
    offset = 18 if packet[12:14] == b"\x88\x47" else 14
    return IP(packet[offset:])


def checksums_hold(packet: bytes) -> bool:
    """Are IPv4's and TCP's or UDP's checksums what they must be?"""
    found = inner(packet)
    again = found.copy()
    del again.chksum
    for layer in (TCP, UDP):
        if layer in again:
            del again[layer].chksum
    return bytes(IP(bytes(again))) == bytes(found)
