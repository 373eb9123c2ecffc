"""The TCP connection to a BGP peer: local address, MD5 signatures, TTL security."""

from __future__ import annotations

import errno
import ipaddress
import socket

from os_ken.lib import sockopt

from controller.model.bgp import BgpPeer

# linux/in.h, linux/in6.h; Python's socket module has no names for them
IP_MINTTL = 21
IPV6_MINHOPCOUNT = 73
MAX_TTL = 255
CONNECT_TIMEOUT_S = 5.0


class BgpSocketError(OSError):
    """The connection cannot be made the way the configuration asks for."""


def connect(peer: BgpPeer) -> socket.socket:
    """A connection to the peer; every read or write on it ends within the hold time. OSError if there is none."""
    family = socket.AF_INET if ipaddress.ip_address(peer.address).version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        send_ttl(sock, peer)
        if peer.password is not None:
            sign(sock, peer)
        if peer.local_address is not None:
            sock.bind((peer.local_address, 0))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(CONNECT_TIMEOUT_S)
        sock.connect((peer.address, peer.port))
        # From here on: the RST of a kernel whose router does not run yet comes with an ordinary TTL.
        refuse_far(sock, peer)
        # A silent peer must not hold a thread for ever: os-ken has no timer before the session is
        # established, and closing a socket does not wake a thread that reads from it.
        sock.settimeout(peer.hold_s)
    except BaseException:
        sock.close()
        raise
    return sock


def send_ttl(sock: socket.socket, peer: BgpPeer) -> None:
    """What the peer's TTL security (RFC 5082) wants to see; without it, no further than the peer is."""
    ttl = MAX_TTL if peer.ttl_security else peer.hops
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)


def refuse_far(sock: socket.socket, peer: BgpPeer) -> None:
    """Have the kernel drop what came further than the peer is (RFC 5082, 3)."""
    if not peer.ttl_security:
        return
    least = MAX_TTL + 1 - peer.hops
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, IP_MINTTL, least)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_MINHOPCOUNT, least)


def sign(sock: socket.socket, peer: BgpPeer) -> None:
    """TCP MD5 signatures (RFC 2385). Never goes on without them: BgpSocketError if the kernel has none."""
    assert peer.password is not None
    try:
        sockopt.set_tcp_md5sig(sock, peer.address, peer.password.encode())
    except OSError as error:
        if error.errno in (errno.ENOPROTOOPT, errno.EPERM):
            raise BgpSocketError(
                error.errno,
                f"BGP peer {peer.name}: this kernel signs no TCP segments (CONFIG_TCP_MD5SIG); use another kernel, "
                "or take the password off both sides",
            ) from None
        raise
