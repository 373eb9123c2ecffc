"""The network share of a device: what it sends over all its ports together, limited by tc(8).

Every port's frames are led through one intermediate device (ifb) with a token bucket (tbf), and go on from there. So
the sum is limited, wherever the traffic goes; what comes in is the sender's.
"""

from __future__ import annotations

import fcntl
import json
import math
import socket
import struct
import subprocess
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from controller.act.resources.errors import AllocationError

COUNTERS = Path("/proc/thread-self/net/dev")  # of the network namespace that this thread is in
PREFIX = "um-all-"
PREFERENCE = 49_000  # of our filter: what others put on a port goes before
LEAST_BPS = 8_000.0
BURST_S = 0.01
QUEUE_MS = 50
HEADER_BYTES = 32  # of a frame, above the MTU
TIMEOUT_S = 10.0
SIOCGIFMTU = 0x8921  # linux/sockios.h


class SharedPorts:
    """The ports of one device; remembers what it has set. Raises AllocationError. Not thread-safe."""

    def __init__(self, device: str, ports: Sequence[str]) -> None:
        self.ports = tuple(ports)
        self.touched = False  # it has set a limit, or a part of one
        self.bucket = f"{PREFIX}{zlib.crc32(device.encode()):08x}"  # the same after a restart
        self._device = device
        self._bps = math.nan  # in force since it was set here; NaN: not known
        self._made: tuple[int, ...] = ()  # the interfaces that it was set on

    def limit(self, bps: float) -> None:
        """At most so many bits per second, frames without checksum and preamble; infinity lifts the limit.

        Nothing is started where that is in force already. Ports (or a bucket) that were made anew have no limit: it is
        set on them again.
        """
        made = self._interfaces() if math.isfinite(bps) else ()
        same = self._made == made
        if same and self._bps == bps:
            return
        known = same and math.isfinite(self._bps)
        self._bps, self.touched = math.nan, True  # until it is done
        if math.isinf(bps):
            if self.bucket in counters():
                self.clear()
            self._bps, self._made = bps, ()
            return
        self._limit(bps, known=known)
        self._bps, self._made = bps, self._interfaces()

    def _limit(self, bps: float, *, known: bool) -> None:
        """known: there is a limit, on these very ports: only its rate changes."""
        rate_bps = max(LEAST_BPS, bps)
        burst = math.ceil(max(rate_bps / 8 * BURST_S, 2 * (self._mtu() + HEADER_BYTES)))
        queue = f"tbf rate {rate_bps:.0f}bit burst {burst} latency {QUEUE_MS}ms"
        if known:
            _run("tc", f"qdisc change dev {self.bucket} root handle 1: {queue}")
            return
        if self.bucket not in counters():
            _run("ip", f"link add {self.bucket} type ifb", f"link set {self.bucket} up")
        _run("tc", f"qdisc replace dev {self.bucket} root handle 1: {queue}")
        for port in self.ports:
            self._unfilter(port)
            _run(
                "tc",
                f"qdisc replace dev {port} clsact",
                f"filter add dev {port} egress pref {PREFERENCE} protocol all u32 match u32 0 0 "
                f"action mirred egress redirect dev {self.bucket}",
            )

    def bps(self) -> float:
        """The limit in force; infinity when there is none."""
        done = _call("tc", "-json", "qdisc", "show", "dev", self.bucket)
        if done.returncode != 0:  # there is no such device
            return math.inf
        for one in _parsed(done):
            if one.get("kind") == "tbf":
                return 8.0 * float(one["options"]["rate"])
        return math.inf

    def clear(self) -> None:
        """Lift the limit; ports that are gone are none."""
        self._bps = math.nan
        present = counters()
        for port in self.ports:
            if port not in present:
                continue
            # First the ways into the bucket, then the bucket: no frame is lost in between.
            self._unfilter(port)
            if not any(
                _parsed(_call("tc", "-json", "filter", "show", "dev", port, way))
                for way in ("egress", "ingress")
            ):
                _call("tc", "qdisc", "del", "dev", port, "clsact")
        if self.bucket in present:
            _run("ip", f"link delete dev {self.bucket}")
        self.touched = False

    def _interfaces(self) -> tuple[int, ...]:
        """Numbers of the ports and of the bucket (0: there is none): others when they were made anew."""
        found = []
        for name in (*self.ports, self.bucket):
            try:
                found.append(socket.if_nametoindex(name))
            except OSError as error:
                if name != self.bucket:
                    raise AllocationError(missing(name, self._device)) from error
                found.append(0)
        return tuple(found)

    def _unfilter(self, port: str) -> None:
        _call("tc", "filter", "del", "dev", port, "egress", "pref", str(PREFERENCE))

    def _mtu(self) -> int:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            return max(_mtu(sock, port) for port in self.ports)


def counters() -> Mapping[str, tuple[int, int]]:
    """Interface → (bytes received, bytes sent) in the network namespace of this thread."""
    try:
        lines = COUNTERS.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise AllocationError(
            f"{COUNTERS} cannot be read ({error.strerror}): mount /proc"
        ) from error
    found = {}
    for line in lines[2:]:
        name, _, rest = line.partition(":")
        fields = rest.split()
        found[name.strip()] = int(fields[0]), int(fields[8])
    return found


def totals(
    present: Mapping[str, tuple[int, int]], device: str, ports: Iterable[str]
) -> tuple[int, int]:
    """(bytes received, bytes sent) of these ports. Raises AllocationError for one that does not exist."""
    received = sent = 0
    for port in ports:
        if port not in present:
            raise AllocationError(missing(port, device))
        received += present[port][0]
        sent += present[port][1]
    return received, sent


def missing(port: str, device: str = "") -> str:
    """What to say of a port that does not exist."""
    whose = f" of {device}" if device else ""
    return (
        f"interface {port}{whose} does not exist in this network namespace: start the device, run umbra where its "
        "ports are, or correct the name"
    )


def _mtu(sock: socket.socket, port: str) -> int:
    try:
        answer = fcntl.ioctl(sock, SIOCGIFMTU, struct.pack("16s16x", port.encode()))
    except OSError as error:
        raise AllocationError(missing(port)) from error
    return int(struct.unpack("16si12x", answer)[1])


def _call(*arguments: str, lines: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            arguments,
            input="\n".join(lines) + "\n" if lines else "",
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise AllocationError(
            f"{arguments[0]} is not installed: install iproute2, which limits the network by it"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise AllocationError(
            f"{' '.join(arguments)} did not answer within {TIMEOUT_S:g} s: it is tried again"
        ) from error


def _run(program: str, *lines: str) -> None:
    done = _call(program, "-batch", "-", lines=lines)
    if done.returncode != 0:
        told = " ".join((done.stderr or done.stdout).split())
        raise AllocationError(
            f"{program} refused {'; '.join(lines)!r} ({told}): run as root (CAP_NET_ADMIN), on a kernel with ifb, tbf, "
            "clsact, u32 and mirred (modprobe ifb sch_tbf sch_ingress cls_u32 act_mirred)"
        )


def _parsed(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    try:
        found = json.loads(done.stdout or "[]")
    except json.JSONDecodeError as error:
        raise AllocationError(
            f"{' '.join(done.args)} does not speak JSON: install iproute2 5.0 or newer"
        ) from error
    return [one for one in found if isinstance(one, dict)]
