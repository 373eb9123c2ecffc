"""A Mininet network from a configuration: real hosts in namespaces, real switch processes, nothing
left behind.

No OpenFlow controller and no Open vSwitch: Mininet builds and Mininet's hosts run the programs.
Everything happens in the network namespace of this process: call `namespace.enter()` (or run inside
`namespace.isolated()`) first.
"""

from __future__ import annotations

import logging
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

from mininet.link import Intf, Link
from mininet.net import Mininet
from mininet.node import Node

from controller.act.resources import Place
from controller.model.resources import Amounts
from topologies.delay import READY
from topologies.limits import Limits
from topologies.namespace import dying, inside
from topologies.offload import switch_off
from topologies.switch_node import P4Switch
from topologies.wiring import PREFIX, HostWiring, SwitchWiring, Wiring, wire

# Importing Mininet makes its own class, which prints to the terminal, that of all loggers to come.
logging.setLoggerClass(logging.Logger)

HOST_MTU = 1500
FABRIC_MTU = 1600  # an MPLS label, later a replica record, on top of the hosts' 1500
OPEN_FILES = 16384

Progress = Callable[[str], None]


class NetworkError(RuntimeError):
    """The emulated network could not be built."""


class _Interface(Intf):  # type: ignore[misc]
    """An interface that is configured later, with all others in one go."""

    def config(self, **_params: Any) -> dict[str, Any]:
        return {}


class _Cable(Link):  # type: ignore[misc]
    """A veth pair that goes away with its namespace (or with `Network.stop`), not one `ip` command
    at a time.
    """

    def stop(self) -> None:
        """Nothing to do here."""


def _prepare() -> None:
    """What Mininet does once per process, less its changes of machine-wide kernel settings."""
    if os.geteuid() != 0:
        raise NetworkError("network namespaces need root: run as root (sudo)")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    Mininet.inited = True


class Network:
    """The running emulation of a configuration. Use it as a context manager.

    limits: of switches; when they are given, every switch starts in a cgroup of its own (see `places`), those that are
    named limited.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        kind: str,
        run_dir: Path,
        *,
        progress: Progress = lambda _message: None,
        limits: Mapping[str, Amounts] | None = None,
    ) -> None:
        self.wiring: Wiring = wire(config)
        self._limits = None if limits is None else Limits(self.wiring, limits)
        self.kind = kind
        self.run_dir = run_dir
        self._progress = progress
        self._net: Any = None
        self._programs: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def switches(self) -> tuple[P4Switch, ...]:
        """The switches, in configured order."""
        return tuple(self._net.switches)

    def places(self) -> Mapping[str, Place]:
        """Switch → its cgroup and its interfaces, known before they are there; empty without `limits`."""
        return {} if self._limits is None else self._limits.places

    def switch(self, name: str) -> P4Switch:
        """The switch of that name; KeyError if there is none."""
        self.wiring.switch(name)
        node = self._net[name]
        assert isinstance(node, P4Switch)
        return node

    def start(self) -> None:
        """Build hosts and cables, start the switches, and return when all serve P4Runtime."""
        self.run_dir.mkdir(parents=True, exist_ok=True)
        _prepare()
        self._net = Mininet(controller=None, intf=_Interface, link=_Cable, build=False)
        self._progress("hosts")
        for host in self.wiring.hosts:
            self._net.addHost(host.name, ip=None, mac=host.mac)
        for switch in self.wiring.switches:
            self._net.addSwitch(
                switch.name,
                cls=P4Switch,
                kind=self.kind,
                wiring=switch,
                run_dir=self.run_dir,
                limits=self._limits,
            )
        self._progress("links")
        for cable in self.wiring.cables:
            if cable.delay_ms == 0:
                self._cable(
                    *(cable.a, cable.a_port, cable.a_interface),
                    *(cable.b, cable.b_port, cable.b_interface),
                )
        for host in self.wiring.hosts:
            self._cable(
                host.switch,
                host.port,
                host.switch_interface,
                host.name,
                0,
                host.interface,
                mac=host.mac,
            )
        self._lay_long_cables()
        self._set_up_switch_interfaces()
        for host in self.wiring.hosts:
            self._set_up_host(host)
        if self._limits is not None:
            self._limits.open()
        self._progress("switches")
        for node in self._net.switches:
            node.start()
        for node in self._net.switches:
            node.wait_ready()
            self._progress(f"switch {node.name}")

    def _cable(
        self,
        a: str,
        a_port: int,
        a_name: str,
        b: str,
        b_port: int,
        b_name: str,
        mac: str | None = None,
    ) -> None:
        self._net.addLink(
            a,
            b,
            port1=a_port,
            port2=b_port,
            intfName1=a_name,
            intfName2=b_name,
            **({} if mac is None else {"addr2": mac}),
        )

    def _lay_long_cables(self) -> None:
        """Cables with a delay: a pair at each end, and one program that carries frames between them."""
        lines, cables = [], []
        for number, cable in enumerate(self.wiring.cables):
            if cable.delay_ms > 0:
                near, far = f"{PREFIX}{number}a", f"{PREFIX}{number}b"
                for end, middle in ((cable.a_interface, near), (cable.b_interface, far)):
                    lines.append(f"link add name {end} type veth peer name {middle}")
                    lines.append(f"link set dev {middle} mtu {FABRIC_MTU} up")
                cables.append(f"{near}:{far}:{cable.delay_ms}")
        if not cables:
            return
        _ip(lines)
        for cable_ends in cables:
            for middle in cable_ends.split(":")[:2]:
                switch_off(middle)
        with (self.run_dir / "delay.log").open("ab") as log:
            program = subprocess.Popen(
                dying([sys.executable, "-m", "topologies.delay", *cables]),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self._programs.append(program)
        assert program.stdout is not None
        if program.stdout.readline() != READY:
            raise NetworkError(f"long cables do not work; see {self.run_dir / 'delay.log'}")

    def _set_up_switch_interfaces(self) -> None:
        hosts = {(host.switch, host.port) for host in self.wiring.hosts}
        lines = []
        for switch in self.wiring.switches:
            for port, name in switch.interfaces:
                mtu = HOST_MTU if (switch.name, port) in hosts else FABRIC_MTU
                lines.append(f"link set dev {name} mtu {mtu} up")
                switch_off(name)
        _ip(lines)

    def _set_up_host(self, host: HostWiring) -> None:
        node: Node = self._net[host.name]
        commands = [
            "for f in /proc/sys/net/ipv6/conf/{all,default}/disable_ipv6; do [ -e $f ] && echo 1 > $f; done",
            "ip link set dev lo up",
            f"ip link set dev {host.interface} address {host.mac} mtu {HOST_MTU} up",
            f"ip address add {host.ip}/{host.prefix_len} dev {host.interface}",
            *(f"ip address add {address}/32 dev lo" for address in host.services),
            f"ip route add default via {host.gateway}",
        ]
        output = node.cmd("; ".join(commands)).strip()
        if output:
            raise NetworkError(f"host {host.name} could not be configured: {output}")
        with inside(node.pid):
            switch_off(host.interface)

    def run(
        self,
        host: str,
        arguments: Sequence[str],
        *,
        stdout: int | IO[bytes] | None = subprocess.DEVNULL,
        log: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a program on a host; it ends with the network, and dies with this process. Errors
        go to `log`.
        """
        node = self._net[host]
        path = log or self.run_dir / f"{host}.log"
        with path.open("ab") as errors:
            program = subprocess.Popen(
                ["mnexec", "-a", str(node.pid), *dying(list(arguments))],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=errors,
                start_new_session=True,
                env={**os.environ, **environment} if environment else None,
            )
        self._programs.append(program)
        return program

    def output(self, host: str, arguments: Sequence[str], timeout_s: float = 30.0) -> str:
        """Output of a short program on a host; NetworkError if it fails."""
        node = self._net[host]
        done = subprocess.run(
            ["mnexec", "-a", str(node.pid), *arguments],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if done.returncode != 0:
            raise NetworkError(
                f"{host}: {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}"
            )
        return done.stdout

    def dead(self) -> tuple[str, ...]:
        """What to say of every switch whose process ended without being asked to; empty while all
        is well.
        """
        if self._net is None:
            return ()
        return tuple(switch.obituary() for switch in self._net.switches if not switch.alive())

    def stop(self) -> None:
        """End programs, switches and hosts, and delete every interface that was made."""
        for program in self._programs:
            if program.poll() is None:
                program.terminate()
        for program in self._programs:
            try:
                program.wait(3.0)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()
            if program.stdout is not None:
                program.stdout.close()
        self._programs.clear()
        if self._net is None:
            return
        for switch in self._net.switches:
            if switch.process is not None and switch.process.poll() is None:
                switch.process.terminate()  # all at once; Mininet's stop waits for each
        for switch in self._net.switches:
            switch.stop(deleteIntfs=False)
        names = [name for switch in self.wiring.switches for name in _interfaces(switch)]
        # One end of a pair takes the other along: the second deletion of a cable fails, and must not matter.
        subprocess.run(
            ["ip", "-force", "-batch", "-"],
            input="\n".join(f"link delete dev {name}" for name in names),
            text=True,
            capture_output=True,
            check=False,
        )
        net, self._net = self._net, None
        net.stop()
        if self._limits is not None:
            self._limits.close()


def _interfaces(switch: SwitchWiring) -> list[str]:
    return [name for _, name in switch.interfaces]


def _ip(lines: Sequence[str]) -> None:
    """Commands of ip(8), all in one process."""
    done = subprocess.run(
        ["ip", "-batch", "-"], input="\n".join(lines), text=True, capture_output=True, check=False
    )
    if done.returncode != 0:
        raise NetworkError(f"interfaces could not be configured: {done.stderr.strip()}")
