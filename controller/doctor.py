"""What this machine has, and what each absence costs."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "p4src" / "build"
DEBIAN_PYTHON = Path("/usr/lib/python3/dist-packages")
PROBE_TIMEOUT_S = 10.0


class Need(StrEnum):
    """Who needs a thing."""

    ALL = "everything"
    FABRIC = "emulated fabric"
    OPTION = "optional"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked for. `costs` and `remedy` are empty when it is there."""

    name: str
    need: Need
    ok: bool
    found: str
    costs: str = ""
    remedy: str = ""
    library: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, and what follows from them."""

    findings: tuple[Finding, ...]

    def lacks(self, need: Need) -> tuple[Finding, ...]:
        """What `need` asks for and this machine does not have."""
        return tuple(f for f in self.findings if f.need is need and not f.ok)

    @property
    def can_run(self) -> bool:
        """Whether the controller itself can run (against switches elsewhere)."""
        return not self.lacks(Need.ALL)

    @property
    def can_emulate(self) -> bool:
        """Whether `umbra demo` and tests/fabric can run here."""
        return self.can_run and not self.lacks(Need.FABRIC)

    @property
    def has_bmv2(self) -> bool:
        """Whether the reference switch is installed."""
        return any(f.name == "simple_switch_grpc" and f.ok for f in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "can_run": self.can_run,
            "can_emulate": self.can_emulate,
            "has_bmv2": self.has_bmv2,
            "findings": [asdict(finding) for finding in self.findings],
        }


def _output(*command: str) -> tuple[bool, str]:
    """Whether `command` succeeded, and the first telling line that it printed."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, f"{command[0]}: {error}"
    lines = [line.strip() for line in (done.stdout or done.stderr).splitlines() if line.strip()]
    # Some tools print their own path before their version.
    telling = [line for line in lines if line != command[0]]
    return done.returncode == 0, telling[0] if telling else ""


def _python() -> Finding:
    version = platform.python_version()
    ok = tuple(int(part) for part in platform.python_version_tuple()[:2]) >= (3, 11)
    return Finding(
        "python",
        Need.ALL,
        ok,
        version,
        "" if ok else "umbra needs 3.11",
        "" if ok else "install Python 3.11 or later",
    )


def _requirements() -> list[Requirement]:
    try:
        lines = importlib.metadata.requires("umbra") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    requirements = []
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            requirements.append(requirement)
    return requirements


def _libraries() -> Iterable[Finding]:
    requirements = _requirements()
    if not requirements:
        yield Finding(
            "umbra package",
            Need.OPTION,
            False,
            "not installed",
            "the versions of its libraries cannot be checked",
            "pip install -e . (make setup does it)",
        )
    for requirement in requirements:
        name = requirement.name
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(
                name,
                Need.ALL,
                False,
                "not installed",
                "umbra does not start",
                f"pip install '{requirement}'",
                library=True,
            )
            continue
        ok = requirement.specifier.contains(version, prereleases=True)
        yield Finding(
            name,
            Need.ALL,
            ok,
            version,
            "" if ok else f"umbra is made for {requirement.specifier}",
            "" if ok else f"pip install '{requirement}'",
            library=True,
        )


def _program() -> Finding:
    missing = [
        name for name in ("umbra.json", "umbra.p4info.txtpb") if not (PROGRAM / name).is_file()
    ]
    if not missing:
        return Finding("compiled umbra.p4", Need.ALL, True, "yes")
    return Finding(
        "compiled umbra.p4",
        Need.ALL,
        False,
        "missing " + ", ".join(missing),
        "no switch can be given its pipeline",
        "restore p4src/build from the repository, or run make p4 where p4c-bm2-ss is installed",
    )


def _root() -> Finding:
    if os.geteuid() == 0:
        return Finding("root", Need.FABRIC, True, "yes")
    return Finding(
        "root",
        Need.FABRIC,
        False,
        f"no (user id {os.geteuid()})",
        "no network namespaces: no demo, no tests/fabric; the daemon itself does not need it",
        "run with sudo",
    )


def _namespaces() -> Finding:
    # A veth pair in a namespace of its own: it proves both, and vanishes with the process.
    ok, line = _output(
        "unshare",
        "--net",
        "ip",
        "link",
        "add",
        "umbra-d0",
        "type",
        "veth",
        "peer",
        "name",
        "umbra-d1",
    )
    if ok:
        return Finding("network namespaces, veth", Need.FABRIC, True, "yes")
    return Finding(
        "network namespaces, veth",
        Need.FABRIC,
        False,
        line or "refused",
        "no emulated fabric",
        "run as root (in a container with CAP_SYS_ADMIN and CAP_NET_ADMIN); "
        "apt install iproute2 util-linux",
    )


def _mininet() -> Finding:
    here = importlib.util.find_spec("mininet") is not None
    ok, line = _output("mn", "--version") if shutil.which("mn") else (False, "")
    if here:
        return Finding("mininet", Need.FABRIC, True, line if ok else "yes")
    debian = (DEBIAN_PYTHON / "mininet" / "net.py").is_file()
    return Finding(
        "mininet",
        Need.FABRIC,
        False,
        f"only in {DEBIAN_PYTHON}" if debian else "not installed",
        "no emulated fabric: no demo, no tests/fabric",
        "make setup (it lets this environment see it)" if debian else "apt install mininet",
    )


def _tool(name: str, need: Need, costs: str, remedy: str, *version: str) -> Finding:
    path = shutil.which(name)
    if path is None:
        return Finding(name, need, False, "not installed", costs, remedy)
    ok, line = _output(path, *version) if version else (False, "")
    return Finding(name, need, True, f"{path} ({line})" if ok and line else path)


def _tools() -> Iterable[Finding]:
    repository = "add the p4lang repository (see the Vagrantfile), then: apt install"
    for name, package in (("ip", "iproute2"), ("mnexec", "mininet"), ("setpriv", "util-linux")):
        yield _tool(name, Need.FABRIC, "no emulated fabric", f"apt install {package}")
    yield _tool(
        "simple_switch_grpc",
        Need.OPTION,
        "the embedded switch runs instead; comparisons with BMv2 are skipped",
        f"{repository} p4lang-bmv2",
        "--version",
    )
    yield _tool(
        "p4c-bm2-ss",
        Need.OPTION,
        "the compiled program in p4src/build is used; changes to p4src cannot be compiled",
        f"{repository} p4lang-p4c",
        "--version",
    )


def _port(name: str, host: str, port: int, setting: str) -> Finding:
    label = f"port {port} ({name})"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError as error:
            return Finding(
                label,
                Need.OPTION,
                False,
                f"{host}: {error.strerror}",
                f"{name} cannot listen there (or umbra is running already)",
                f"ss -ltnp 'sport = {port}' shows who has it; {setting}",
            )
    return Finding(label, Need.OPTION, True, f"free on {host}")


def _cpus() -> Finding:
    count = len(os.sched_getaffinity(0))
    if count >= 2:
        return Finding("processors", Need.OPTION, True, str(count))
    return Finding(
        "processors",
        Need.OPTION,
        False,
        str(count),
        "switches, load and controller share one core: the demo's latencies say little",
        "give the machine 2 cores",
    )


def _memory() -> Finding:
    fields: dict[str, int] = {}
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        key, _, rest = line.partition(":")
        fields[key] = int(rest.split()[0])  # KiB
    available_gib = fields.get("MemAvailable", 0) / 2**20
    total_gib = fields.get("MemTotal", 0) / 2**20
    found = f"{available_gib:.1f} of {total_gib:.1f} GiB available"
    if available_gib >= 1.5:
        return Finding("memory", Need.OPTION, True, found)
    return Finding(
        "memory",
        Need.OPTION,
        False,
        found,
        "the demo's switches and hosts need about 1.5 GiB",
        "stop other programs, or choose a smaller fabric",
    )


def examine(ports: Iterable[tuple[str, str, int, str]] = ()) -> Report:
    """Look at this machine. `ports` to try: (who listens, host, port, what moves it)."""
    checks: list[Callable[[], Finding]] = [_python, _program, _root, _namespaces, _mininet]
    findings = [check() for check in checks]
    findings += _tools()
    findings += [_port(*port) for port in ports]
    findings += [_cpus(), _memory()]
    findings += _libraries()
    return Report(tuple(findings))
