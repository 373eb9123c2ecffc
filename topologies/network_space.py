"""Network namespaces beside our own, each with interfaces and programs of its own."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Self

from topologies.namespace import dying
from topologies.offload import switch_off

START_TIMEOUT_S = 20.0


class SpaceError(RuntimeError):
    """There is no network namespace, or a program failed in it."""


class NetworkSpace:
    """A network namespace that a sleeping process holds open; it ends with this process at the latest."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            dying(["unshare", "--net", "--", "sleep", "infinity"]), stdin=subprocess.DEVNULL
        )
        ours = os.stat("/proc/self/ns/net").st_ino
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while self._inode() in (ours, None):
            if self._holder.poll() is not None or time.monotonic() > deadline_s:
                raise SpaceError("no network namespace: it needs root (CAP_SYS_ADMIN)")
            time.sleep(0.005)
        self.run("ip", "link", "set", "lo", "up")

    def _inode(self) -> int | None:
        try:
            return os.stat(f"/proc/{self._holder.pid}/ns/net").st_ino
        except OSError:
            return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.kill()
        self._holder.wait()

    @property
    def pid(self) -> int:
        """A process in the namespace."""
        return self._holder.pid

    def command(self, *arguments: str) -> list[str]:
        """The command, in the namespace."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--", *arguments]

    def run(self, *arguments: str) -> str:
        """Output of a short program; SpaceError if it fails."""
        done = subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode != 0:
            raise SpaceError(f"{' '.join(arguments)}: {done.stderr or done.stdout}")
        return done.stdout

    def start(self, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
        """Start a program that dies with this process; its output goes to the log."""
        with log.open("ab") as file:
            return subprocess.Popen(
                dying(self.command(*arguments)), stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )

    def take(self, interface: str, *addresses: str, mac: str | None = None) -> None:
        """Have an interface of our own network, with these addresses."""
        subprocess.run(
            ["ip", "link", "set", interface, "netns", str(self.pid)],
            check=True,
            capture_output=True,
        )
        if mac is not None:
            self.run("ip", "link", "set", interface, "address", mac)
        self.run("ip", "link", "set", interface, "up")
        # No TCP or UDP offload: a P4 switch gets whole checksums.
        for feature in ("tx", "rx", "tso", "gso", "gro"):
            subprocess.run(
                self.command("ethtool", "-K", interface, feature, "off"),
                capture_output=True,
                check=False,
            )
        for address in addresses:
            extra = ("nodad",) if ":" in address else ()
            self.run("ip", "address", "add", address, "dev", interface, *extra)

    def ipv6(self) -> None:
        """Allow IPv6, whatever the namespace inherited."""
        for scope in ("all", "default"):
            self.run("sh", "-c", f"echo 0 > /proc/sys/net/ipv6/conf/{scope}/disable_ipv6")

    def forwarding(self) -> None:
        """Let it route."""
        self.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")


def cable(name: str, peer: str) -> None:
    """A veth pair in our own network, both ends up, without offload."""
    subprocess.run(
        ["ip", "link", "add", name, "type", "veth", "peer", "name", peer],
        check=True,
        capture_output=True,
    )
    for end in (name, peer):
        subprocess.run(["ip", "link", "set", end, "up"], check=True, capture_output=True)
        switch_off(end)
