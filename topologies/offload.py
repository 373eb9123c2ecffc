"""Switch off what a network card would do for the kernel: on veth pairs it leaves packets without
checksums, or merges them.

ethtool's ioctl (linux/ethtool.h) on every interface of the current network namespace.
"""

from __future__ import annotations

import array
import fcntl
import socket
import struct

SIOCETHTOOL = 0x8946
# linux/ethtool.h: the legacy on/off commands
SETTINGS = {
    "rx checksum": 0x15,
    "tx checksum": 0x17,
    "tcp segmentation": 0x1F,
    "generic segmentation": 0x24,
    "generic receive": 0x2C,
}


def switch_off(interface: str) -> None:
    """Checksum, segmentation and merging offloads of one interface off; OSError if it does not
    exist.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for command in SETTINGS.values():
            value = array.array("B", struct.pack("II", command, 0))
            request = struct.pack("16sP", interface.encode(), value.buffer_info()[0])
            fcntl.ioctl(sock, SIOCETHTOOL, request.ljust(40, b"\0"))
