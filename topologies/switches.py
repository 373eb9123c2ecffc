"""P4 switch processes: BMv2's simple_switch_grpc, or the embedded switch, behind the same flags."""

from __future__ import annotations

import functools
import shutil
import socket
import subprocess
import sys

from topologies.wiring import SwitchWiring

BMV2 = "bmv2"
EMBEDDED = "embedded"
KINDS = (EMBEDDED, BMV2)
CPU_PORT = 510
BMV2_PROGRAM = "simple_switch_grpc"


class SwitchError(RuntimeError):
    """A switch process did not start, or died."""


def choose(wanted: str) -> str:
    """`bmv2` or `embedded`; `auto` takes BMv2 where it is installed."""
    if wanted == "auto":
        return BMV2 if shutil.which(BMV2_PROGRAM) else EMBEDDED
    if wanted not in KINDS:
        raise SwitchError(f"switch {wanted!r} is unknown: choose auto, {' or '.join(KINDS)}")
    if wanted == BMV2 and shutil.which(BMV2_PROGRAM) is None:
        raise SwitchError(
            f"{BMV2_PROGRAM} is not installed: install BMv2 (package p4lang-bmv2), or choose {EMBEDDED}"
        )
    return wanted


@functools.cache
def has_thrift() -> bool:
    """Was BMv2 built with Thrift? Then every switch needs a Thrift port of its own; else it refuses
    the option.
    """
    done = subprocess.run([BMV2_PROGRAM, "--help"], capture_output=True, text=True, check=False)
    return "--thrift-port" in done.stdout + done.stderr


def command(kind: str, wiring: SwitchWiring) -> list[str]:
    """The command line of one switch process."""
    ports = [part for number, name in wiring.interfaces for part in ("-i", f"{number}@{name}")]
    address = f"{wiring.grpc_host}:{wiring.grpc_port}"
    common = ["--device-id", str(wiring.device_id), *ports, "--no-p4"]
    target = ["--grpc-server-addr", address, "--cpu-port", str(CPU_PORT)]
    if kind == BMV2:
        thrift = ["--thrift-port", str(wiring.thrift_port)] if has_thrift() else []
        # After "--" come the target's own options.
        return [BMV2_PROGRAM, *common, *thrift, "--", *target]
    return [sys.executable, "-m", "p4switch", *common, *target]


def listening(host: str, port: int) -> bool:
    """Does somebody accept connections there?"""
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False
