"""The command line of umbra-switch: simple_switch_grpc's own, so that either can be started."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from p4switch.errors import InvalidArgument
from p4switch.server.tls import TlsFiles

DEFAULT_ADDRESS = "127.0.0.1:9559"

# Options of simple_switch_grpc that mean nothing here. Each takes a value, or none.
_UNUSED_WITH_VALUE = (
    "--thrift-port",
    "--nanolog",
    "--notifications-addr",
    "--debugger-addr",
    "--dump-packet-data",
    "--max-port-count",
    "--log-file-max-size",
    "--log-file-max-files",
    "--dp-grpc-server-addr",
    "--priority-queues",
    "--max-mc-groups",
    "--max-l1-entries",
    "--max-l2-entries",
    "--load-modules",
    "--use-files",
    "--packet-in",
    "--restore-state",
)
_UNUSED_FLAGS = (
    "--debugger",
    "--disable-swap",
    "--log-flush",
    "--warn-on-invalid-hdr-read",
    "--ret-zero-on-invalid-hdr-read",
)
# Of those, the ones without which the switch would not do what was asked.
_REFUSED = {
    "--dp-grpc-server-addr": "use -i PORT@INTERFACE, or p4switch.switch.Switch.inject in Python",
    "--use-files": "use -i PORT@INTERFACE, or p4switch.switch.Switch.inject in Python",
    "--packet-in": "use -i PORT@INTERFACE",
    "--restore-state": "push the pipeline and write the entries again",
    "--load-modules": "externs from shared libraries cannot be loaded",
    "--debugger": "print the generated code with --show-code and use --log-level debug",
    "--debugger-addr": "print the generated code with --show-code and use --log-level debug",
    "--pcap": "capture on the ports' interfaces, for example tcpdump -i INTERFACE -w FILE",
}


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for."""

    program: Path | None
    ports: dict[int, str]
    device_id: int
    cpu_port: int | None
    drop_port: int
    grpc_address: str
    tls: TlsFiles | None
    log_level: str
    log_file: Path | None
    show_code: Path | None
    warnings: tuple[str, ...]


def make_parser() -> argparse.ArgumentParser:
    """The parser, for help and for parsing."""
    parser = argparse.ArgumentParser(
        prog="umbra-switch",
        description="Runs a v1model program that p4c compiled for BMv2, and speaks P4Runtime.",
        epilog="Options that simple_switch_grpc takes after -- are accepted before or after it. "
        "Its options that have no meaning here are accepted and said to be unused.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("program", nargs="?", type=Path, metavar="JSON", help="program to run from the start")
    add("-i", "--interface", action="append", default=[], metavar="PORT@INTERFACE")
    add("--device-id", type=int, default=0, help="P4Runtime device id (default 0)")
    add("--no-p4", action="store_true", help="start without a program and wait for a client's")
    add("--cpu-port", type=int, help="port of packet-in and packet-out; 0 is not valid")
    add("--drop-port", type=int, default=511, help="port that drops (default 511)")
    add(
        "--grpc-server-addr",
        default=DEFAULT_ADDRESS,
        metavar="HOST:PORT",
        help=f"where to listen (default {DEFAULT_ADDRESS}, this host only)",
    )
    add("--grpc-server-ssl", action="store_true", help="TLS; needs certificate and key")
    add("--grpc-server-cacert", type=Path, metavar="PEM", help="authority of clients' certificates")
    add("--grpc-server-cert", type=Path, metavar="PEM", help="the server's certificate")
    add("--grpc-server-key", type=Path, metavar="PEM", help="the server's private key")
    add(
        "--grpc-server-with-client-auth",
        action="store_true",
        help="refuse clients without a valid certificate",
    )
    add("--log-console", action="store_true", help="log to the terminal (the default)")
    add("--log-file", type=Path, help="log to FILE.txt, as simple_switch_grpc names it")
    add(
        "-L",
        "--log-level",
        default="info",
        choices=("trace", "debug", "info", "warn", "error", "off"),
    )
    add("--show-code", type=Path, metavar="JSON", help="print the generated Python and exit")
    add("-v", "--version", action="version", version="umbra-switch 0.1.0")
    for option in _UNUSED_WITH_VALUE:
        add(option, help=argparse.SUPPRESS)
    for option in _UNUSED_FLAGS:
        add(option, action="store_true", help=argparse.SUPPRESS)
    add("--pcap", nargs="?", const=".", help=argparse.SUPPRESS)
    return parser


def parse(arguments: Sequence[str]) -> Options:
    """InvalidArgument says what is wrong and how to put it right; SystemExit for --help."""
    # simple_switch_grpc's target options come after "--"; here all options are one set.
    given = make_parser().parse_args([a for a in arguments if a != "--"])
    warnings: list[str] = []
    for option in (*_UNUSED_WITH_VALUE, *_UNUSED_FLAGS, "--pcap"):
        if getattr(given, option.strip("-").replace("-", "_")):
            if option in _REFUSED:
                raise InvalidArgument(f"{option} is not implemented: {_REFUSED[option]}")
            warnings.append(f"{option} is accepted but unused")
    if given.program is None and not given.no_p4 and given.show_code is None:
        raise InvalidArgument("no program: give a BMv2 JSON file, or --no-p4 to wait for a client")
    if given.program is not None and given.no_p4:
        raise InvalidArgument("give either a program or --no-p4, not both")
    if given.cpu_port is not None and not 0 < given.cpu_port < 1 << 16:
        raise InvalidArgument(f"--cpu-port {given.cpu_port} is not in 1..65535")
    ports = _ports(given.interface)
    if given.cpu_port in ports:
        raise InvalidArgument(f"port {given.cpu_port} is the CPU port; give -i another number")
    return Options(
        program=given.program,
        ports=ports,
        device_id=given.device_id,
        cpu_port=given.cpu_port,
        drop_port=given.drop_port,
        grpc_address=given.grpc_server_addr,
        tls=_tls(given, warnings),
        log_level=given.log_level,
        log_file=given.log_file,
        show_code=given.show_code,
        warnings=tuple(warnings),
    )


def _ports(interfaces: Sequence[str]) -> dict[int, str]:
    ports: dict[int, str] = {}
    for text in interfaces:
        number, at, name = text.partition("@")
        if not at or not name or not number.isdigit():
            raise InvalidArgument(f"-i {text}: not PORT@INTERFACE, for example 1@eth0")
        if int(number) in ports:
            raise InvalidArgument(f"-i {text}: port {number} is already on {ports[int(number)]}")
        if name in ports.values():
            raise InvalidArgument(f"-i {text}: interface {name} is already a port")
        ports[int(number)] = name
    return ports


def _tls(given: argparse.Namespace, warnings: list[str]) -> TlsFiles | None:
    files = (given.grpc_server_cert, given.grpc_server_key, given.grpc_server_cacert)
    if not given.grpc_server_ssl:
        if given.grpc_server_with_client_auth or any(files):
            warnings.append(
                "TLS is off, so the certificate options are unused; turn it on with "
                "--grpc-server-ssl"
            )
        return None
    for option, file in (("--grpc-server-cert", files[0]), ("--grpc-server-key", files[1])):
        if file is None:
            raise InvalidArgument(f"--grpc-server-ssl needs {option} FILE.pem")
    return TlsFiles(
        cert=given.grpc_server_cert,
        key=given.grpc_server_key,
        cacert=given.grpc_server_cacert,
        require_client_auth=given.grpc_server_with_client_auth,
    )
