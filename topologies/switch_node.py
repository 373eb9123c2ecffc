"""A P4 switch process as a Mininet node."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mininet.node import Switch

from topologies.ending import end
from topologies.limits import Limits
from topologies.namespace import dying
from topologies.switches import SwitchError, command, listening
from topologies.wiring import SwitchWiring

START_TIMEOUT_S = 30.0
POLL_S = 0.02


class P4Switch(Switch):  # type: ignore[misc]
    """A switch process with its own interfaces in the run's network namespace. Output goes to
    RUN_DIR/NAME.log. limits: it starts in its cgroup there.
    """

    def __init__(
        self,
        name: str,
        *,
        kind: str,
        wiring: SwitchWiring,
        run_dir: Path,
        limits: Limits | None = None,
        **params: Any,
    ) -> None:
        self.kind = kind
        self.limits = limits
        self.wiring = wiring
        self.log_path = run_dir / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        super().__init__(name, dpid=f"{wiring.device_id:x}", **{**params, "inNamespace": False})

    def start(self, controllers: Sequence[object] = ()) -> None:
        """Start the process; `wait_ready` tells when it serves P4Runtime. `controllers` is
        Mininet's, and unused.
        """
        if self.process is not None and self.process.poll() is None:
            raise SwitchError(f"switch {self.name} runs already (process {self.process.pid})")
        program = command(self.kind, self.wiring)
        if self.limits is not None:
            program = self.limits.command(self.name, program)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                dying(program),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Return when the P4Runtime port accepts connections; SwitchError with the end of the log
        if it never does.
        """
        deadline = time.monotonic() + timeout_s
        while not self.connected():
            if not self.alive():
                raise SwitchError(self.obituary())
            if time.monotonic() > deadline:
                raise SwitchError(
                    f"switch {self.name} ({self.kind}) does not listen on port {self.wiring.grpc_port} after "
                    f"{timeout_s:g} s; see {self.log_path}"
                )
            time.sleep(POLL_S)

    def connected(self) -> bool:
        """Does the P4Runtime port accept connections?"""
        return listening(self.wiring.grpc_host, self.wiring.grpc_port)

    def alive(self) -> bool:
        """Is the process running?"""
        return self.process is not None and self.process.poll() is None

    def obituary(self) -> str:
        """One message that names the dead switch, how it ended, and the last lines of its log."""
        code = None if self.process is None else self.process.poll()
        how = (
            "was not started"
            if code is None
            else f"died of signal {-code}"
            if code < 0
            else f"ended with code {code}"
        )
        lines = (
            self.log_path.read_text(errors="replace").splitlines()[-5:]
            if self.log_path.exists()
            else []
        )
        tail = "".join(f"\n    {line}" for line in lines)
        return f"switch {self.name} ({self.kind}) {how}; the end of {self.log_path}:{tail or ' (empty)'}"

    def kill(self) -> None:
        """End the process at once, as a crash would; the interfaces stay, `start` brings it back
        empty.
        """
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self, deleteIntfs: bool = True) -> None:
        """End the process (SIGTERM, then SIGKILL) and remove the interfaces."""
        if self.alive() and self.process is not None:
            end(self.process)
        super().stop(deleteIntfs)
