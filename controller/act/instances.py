"""The instance driver of one host: instances take an address with its MAC, and serve."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from dataclasses import dataclass

from controller.act.holders import Holders
from controller.act.host_network import Attachment, HostNetwork
from controller.act.host_values import DEFAULT_PORT, Holding, Running
from controller.act.instance import listen
from controller.act.spawner import Spawner

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


@dataclass(frozen=True, slots=True)
class Instance:
    """A running one, its cable, and a descriptor that becomes readable when it ends (pidfd_open(2))."""

    running: Running
    attachment: Attachment
    ended: int


class Instances:
    """The instances of one host, by name."""

    def __init__(
        self,
        network: HostNetwork,
        holders: Holders,
        spawner: Spawner,
        *,
        die_with_agent: bool = False,
    ) -> None:
        self._spawner = spawner
        self._network = network
        self._holders = holders
        self._die_with_agent = die_with_agent
        self._instances: dict[str, Instance] = {}
        self._adopt()

    def all(self) -> tuple[Instance, ...]:
        """All, with what belongs to them."""
        return tuple(self._instances.values())

    def running(self) -> tuple[Running, ...]:
        """What runs."""
        return tuple(instance.running for instance in self._instances.values())

    def start(
        self, name: str, holding: Holding, *, port: int = DEFAULT_PORT, separate: bool = False
    ) -> Instance:
        """Start an instance with this address and MAC; the same name and address again: the one that runs.

        If the address is held here, the shadow instance ends, and the instance gets the namespace that answered all
        along. `separate`: it comes with a namespace of its own, as a virtual machine or a container does; the MAC leads
        there from the moment when it listens. Raises ValueError for what cannot be, OSError when the kernel refuses.
        """
        began_s = time.perf_counter()
        before = self._instances.get(name)
        if before is not None:
            if before.attachment.holding == holding:
                return before
            raise ValueError(f"instance {name} runs already, with {before.running.address}")
        self._check(name, holding, port)
        shadow = self._holders.hand_over(holding.address)
        warm = shadow is not None
        try:
            if shadow is not None and not separate:
                attachment, shadow = shadow, None
                return self._begin(name, attachment, port, began_s, warm=True)
            gateway_mac = self._holders.gateway_mac(holding.gateway)
            attachment = self._network.add(holding, lead=not warm, gateway_mac=gateway_mac)
            return self._begin(name, attachment, port, began_s, warm=warm, lead=warm)
        finally:
            if shadow is not None:
                self._holders.retire(shadow)

    def _begin(
        self,
        name: str,
        attachment: Attachment,
        port: int,
        began_s: float,
        *,
        warm: bool,
        lead: bool = False,
    ) -> Instance:
        holding = attachment.holding
        pid = 0
        try:
            with contextlib.closing(listen(attachment.namespace, holding.address, port)) as sock:
                pid = self._spawner.spawn(
                    name, attachment.namespace, sock, dies_with_parent=self._die_with_agent
                )
            if lead:
                self._network.lead(attachment)
            ready_ms = round(1e3 * (time.perf_counter() - began_s), 3)
            self._network.mark(attachment, _mark(pid, name, attachment, port, warm))
            running = Running(name, holding.address, holding.mac, port, pid, warm, ready_ms)
            instance = Instance(running, attachment, os.pidfd_open(pid))
        except BaseException:
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._network.remove(attachment)
            raise
        self._instances[name] = instance
        return instance

    def _check(self, name: str, holding: Holding, port: int) -> None:
        if not NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} is no name of an instance: letters, digits, and - _ . please"
            )
        if not 0 < port < 65536:
            raise ValueError(f"port {port}: 1 to 65535 wanted")
        for one in self._instances.values():
            if one.running.address == holding.address:
                raise ValueError(f"{holding.address} is that of instance {one.running.name}")
        for held in self._holders.held():
            if held.address == holding.address and held.mac != holding.mac:
                raise ValueError(
                    f"{held.address} is held with the MAC {held.mac}, not {holding.mac}"
                )

    def stop(self, name: str) -> Running | None:
        """Kill an instance; what it was, or None when there is none."""
        instance = self._instances.get(name)
        if instance is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(instance.ended, signal.SIGKILL)
        self.reap(instance)
        return instance.running

    def reap(self, instance: Instance) -> None:
        """It has ended, or is about to: let go of its namespace."""
        os.close(instance.ended)
        self._network.remove(instance.attachment)
        self._instances.pop(instance.running.name, None)

    def close(self) -> None:
        """Let go of all: those that die with the agent are ended, the others run on."""
        for instance in list(self._instances.values()):
            if self._die_with_agent:
                self.stop(instance.running.name)
            else:
                os.close(instance.ended)
                os.close(instance.attachment.namespace)
        self._instances.clear()

    def _adopt(self) -> None:
        """Instances of an agent that was here before are found by what is written on their ports."""
        for index, text in self._network.marked().items():
            found = _read_mark(text)
            if found is None:
                continue
            running, holding, inode = found
            try:
                ended = os.pidfd_open(running.pid)
            except OSError:
                continue  # its namespace goes with it, and so does the port
            try:
                namespace = os.open(f"/proc/{running.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            except OSError:  # it has just ended
                os.close(ended)
                continue
            attachment = Attachment(holding, namespace, index)
            if os.fstat(namespace).st_ino != inode:  # the number is another process's by now
                os.close(ended)
                os.close(namespace)
                continue
            self._instances[running.name] = Instance(running, attachment, ended)


def _mark(pid: int, name: str, attachment: Attachment, port: int, warm: bool) -> str:
    holding = attachment.holding
    words = (
        pid,
        os.fstat(attachment.namespace).st_ino,
        name,
        holding.address,
        holding.mac,
        holding.gateway,
    )
    return " ".join(map(str, ("instance", *words, holding.prefix_len, port, int(warm))))


def _read_mark(text: str) -> tuple[Running, Holding, int] | None:
    words = text.split(" ")
    if len(words) != 10 or words[0] != "instance":
        return None
    try:
        pid, inode = int(words[1]), int(words[2])
        holding = Holding(words[4], words[5], words[6], int(words[7]))
        running = Running(
            words[3], holding.address, holding.mac, int(words[8]), pid, words[9] == "1"
        )
    except ValueError:
        return None
    return running, holding, inode
