"""A host's side of its addresses: a bridge on the uplink, and a network namespace with a veth for each address.

The bridge learns nothing from its ports. Which of them a MAC is behind is written down, so that an address can change
from one namespace to another in one step, and nobody can take it by claiming its MAC.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from controller.act.host_values import Holding
from controller.act.namespaces import inside, new_namespace

BRIDGE = "um-br"
PORT_PREFIX = "um-h"
INSIDE = "eth0"
NOARP, MASTER = 0x40, 0x04  # linux/neighbour.h: a static entry, of the bridge
STALE = 0x04  # believed until it is used, and then checked beside the traffic
ONLINK = 4  # linux/rtnetlink.h, RTNH_F_ONLINK
SIOCETHTOOL, ETHTOOL_STXCSUM = 0x8946, 0x17
CARRIER_POLLS, POLL_S = 200, 0.0005


@dataclass(frozen=True, slots=True)
class Attachment:
    """A namespace (its descriptor) with one interface, on port `index` of the bridge."""

    holding: Holding
    namespace: int
    index: int


class HostNetwork:
    """The bridge and its ports. Opens at once; raises OSError, or NetworkMissing for an uplink that is not there."""

    def __init__(self, uplink: str) -> None:
        self.uplink = uplink
        self._ip: Any = IPRoute()
        self._number = 0
        with _refusals(f"uplink {uplink}"):
            self._bridge = self._open()

    def close(self) -> None:
        """Stop working on the host's network. The bridge stays: the host's own traffic crosses it."""
        self._ip.close()

    def _open(self) -> int:
        uplink = self._index(self.uplink)
        if uplink is None:
            raise NetworkMissing(f"there is no interface {self.uplink} on this host")
        bridge = self._index(BRIDGE)
        link = self._ip.get_links(uplink)[0]
        if bridge is not None and link.get("master") == bridge:
            self._number = self._last_number(bridge)
            return bridge
        mac, mtu = link.get("address"), link.get("mtu")
        if bridge is None:
            self._ip.link("add", ifname=BRIDGE, kind="bridge", br_forward_delay=0)
            bridge = self._index(BRIDGE)
            assert bridge is not None
        self._ip.link("set", index=bridge, address=mac, mtu=mtu, state="up")
        self._move_configuration(uplink, bridge)
        return bridge

    def _move_configuration(self, uplink: int, bridge: int) -> None:
        """The host's own addresses and routes go from the uplink to the bridge, which has the uplink's MAC."""
        addresses = self._ip.get_addr(index=uplink, family=socket.AF_INET)
        routes = self._ip.get_routes(oif=uplink, family=socket.AF_INET, table=254)
        for address in addresses:
            local, length = address.get("local"), address["prefixlen"]
            self._ip.addr("del", index=uplink, address=local, prefixlen=length)
            self._ip.addr("add", index=bridge, address=local, prefixlen=length)
        self._ip.link("set", index=uplink, master=bridge)
        # The data plane answers ARP with the MACs of held addresses: they are not behind the uplink for that.
        self._ip.brport("set", index=uplink, learning=0)
        for route in routes:
            if route["proto"] != 2:  # those of the kernel came with the addresses
                length = route["dst_len"]
                target = f"{route.get('dst')}/{length}" if length else "default"
                way = {"gateway": route.get("gateway")} if route.get("gateway") else {}
                self._ip.route("replace", dst=target, oif=bridge, **way)

    def _last_number(self, bridge: int) -> int:
        """Of the ports that an earlier agent made: those of instances that outlived it are still there."""
        names = [x.get("ifname") for x in self._ip.get_links() if x.get("master") == bridge]
        own = [name.removeprefix(PORT_PREFIX) for name in names if name.startswith(PORT_PREFIX)]
        return max((int(number, 16) for number in own), default=0)

    def _index(self, name: str) -> int | None:
        found = self._ip.link_lookup(ifname=name)
        return found[0] if found else None

    def add(
        self, holding: Holding, *, lead: bool = True, gateway_mac: str | None = None
    ) -> Attachment:
        """A namespace that has the address, up and answering. `lead`: its MAC leads there at once.

        gateway_mac: what it need not ask for. Raises OSError.
        """
        namespace = new_namespace()
        try:
            with _refusals(holding.address):
                attachment = Attachment(holding, namespace, self._plug(holding, namespace))
        except BaseException:
            os.close(namespace)
            raise
        try:
            with _refusals(holding.address):
                self._ip.link("set", index=attachment.index, state="up")
                self._configure(attachment, gateway_mac)
                self._await_carrier(attachment.index)
            if lead:
                self.lead(attachment)
        except BaseException:
            self.remove(attachment)
            raise
        return attachment

    def _plug(self, holding: Holding, namespace: int) -> int:
        """A cable from a new port of the bridge into the namespace; the index of the port."""
        self._number += 1
        name = f"{PORT_PREFIX}{self._number:x}"
        peer = {"ifname": INSIDE, "net_ns_fd": namespace, "address": holding.mac}
        self._ip.link("add", ifname=name, kind="veth", peer=peer, master=self._bridge)
        index = self._index(name)
        assert index is not None
        self._ip.brport("set", index=index, learning=0, unicast_flood=0, mcast_flood=0)
        return index

    def _configure(self, attachment: Attachment, gateway_mac: str | None) -> None:
        holding = attachment.holding
        with inside(attachment.namespace):
            _no_checksum_offload(INSIDE)
            with IPRoute() as ip:
                ip.link("set", index=ip.link_lookup(ifname="lo")[0], state="up")
                index = ip.link_lookup(ifname=INSIDE)[0]
                ip.link("set", index=index, state="up")
                ip.addr("add", index=index, address=holding.address, prefixlen=holding.prefix_len)
                ip.route("add", dst="default", gateway=holding.gateway, oif=index, flags=ONLINK)
                if gateway_mac is not None:
                    _know(ip, index, holding.gateway, gateway_mac)

    def _await_carrier(self, index: int) -> None:
        """Until then a port drops what is sent through it: the kernel notices the far end in its own time."""
        for _ in range(CARRIER_POLLS):
            if self._ip.get_links(index)[0].get("operstate") == "UP":
                return
            time.sleep(POLL_S)

    def introduce(self, attachment: Attachment, gateway_mac: str) -> None:
        """Have the namespace know its gateway, so that its first answer need not wait for ARP."""
        address = attachment.holding.address
        with _refusals(address), inside(attachment.namespace), IPRoute() as ip:
            index = ip.link_lookup(ifname=INSIDE)[0]
            _know(ip, index, attachment.holding.gateway, gateway_mac)

    def lead(self, attachment: Attachment) -> None:
        """From now on what is for the address's MAC goes to this namespace: one step, nothing between."""
        holding = attachment.holding
        entry = {"ifindex": attachment.index, "lladdr": holding.mac}
        with _refusals(holding.address):
            self._ip.fdb("replace", **entry, state=NOARP, flags=MASTER)

    def remove(self, attachment: Attachment) -> None:
        """Take the namespace's cable away and let go of it. What is gone already does not matter."""
        with contextlib.suppress(NetlinkError):
            self._ip.link("del", index=attachment.index)
        os.close(attachment.namespace)

    def mark(self, attachment: Attachment, text: str) -> None:
        """Write on a port whose it is: an agent that comes later reads that. At most 255 bytes."""
        with _refusals(attachment.holding.address):
            self._ip.link("set", index=attachment.index, ifalias=text)

    def marked(self) -> dict[int, str]:
        """Ports of the bridge that somebody wrote on: index → text."""
        return {
            link["index"]: link.get("ifalias")
            for link in self._ip.get_links()
            if link.get("master") == self._bridge and link.get("ifalias")
        }


@contextlib.contextmanager
def _refusals(what: str) -> Iterator[None]:
    """What the kernel refuses, as an OSError that names what it is about."""
    try:
        yield
    except NetlinkError as error:
        raise OSError(error.code, f"{what}: {error.args[-1]}") from error


class NetworkMissing(RuntimeError):
    """The host's network is not what the agent was told."""


def _know(ip: Any, index: int, address: str, mac: str) -> None:
    ip.neigh("replace", ifindex=index, dst=address, lladdr=mac, state=STALE)


def _no_checksum_offload(interface: str) -> None:
    """A software switch reads frames as they are: their checksums must be in them (linux/ethtool.h)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        value = array.array("B", struct.pack("II", ETHTOOL_STXCSUM, 0))
        request = struct.pack("16sP", interface.encode(), value.buffer_info()[0])
        fcntl.ioctl(sock, SIOCETHTOOL, request.ljust(40, b"\0"))
