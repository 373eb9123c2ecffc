"""umbra-switch: start one switch and run it until SIGTERM or SIGINT."""

from __future__ import annotations

import contextlib
import gc
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from p4switch.errors import InvalidArgument, SwitchError
from p4switch.options import Options, parse
from p4switch.pipeline import Pipeline
from p4switch.switch import Switch

LOG = logging.getLogger("p4switch")

# The packet thread may hold the interpreter for this long while a gRPC thread waits for it.
SWITCH_INTERVAL_S = 0.001

# A full garbage collection walks every table entry and stops packets for tens of milliseconds with
# 20,000 of them. Entries are no garbage: look at young objects often, at old ones hardly ever.
GC_THRESHOLDS = (10_000, 10, 1000)

_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "off": logging.CRITICAL + 1,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """0 after a signal, 1 when the switch cannot start, 2 for a wrong command line."""
    try:
        options = parse(sys.argv[1:] if arguments is None else arguments)
    except InvalidArgument as error:
        print(f"umbra-switch: {error}", file=sys.stderr)
        return 2
    try:
        if options.show_code is not None:
            with contextlib.suppress(BrokenPipeError):  # `| head` has seen enough
                print(_pipeline_source(options.show_code), flush=True)
            return 0
        return _run(options)
    except SwitchError as error:
        print(f"umbra-switch: {error}", file=sys.stderr)
        return 1


def _pipeline_source(path: Path) -> str:
    source: str = Pipeline(_read(path)).source
    return source


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidArgument(f"program {path}: {error.strerror}") from error


def _run(options: Options) -> int:
    _set_up_log(options)
    for warning in options.warnings:
        LOG.warning("%s", warning)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.set_threshold(*GC_THRESHOLDS)
    # Blocked before any thread starts, so that only sigwait below ever sees them.
    stop_signals = {signal.SIGTERM, signal.SIGINT}
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals)
    try:
        _serve(options, stop_signals)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)  # for a caller that goes on
    return 0


def _serve(options: Options, stop_signals: set[signal.Signals]) -> None:
    switch = Switch(
        options.device_id,
        options.grpc_address,
        ports=options.ports,
        program=_read(options.program) if options.program is not None else None,
        cpu_port=options.cpu_port,
        drop_port=options.drop_port,
        tls=options.tls,
    )
    with switch:
        print(
            f"umbra-switch: ready, device {options.device_id}, gRPC on {switch.grpc_address}",
            file=sys.stderr,
            flush=True,
        )
        LOG.info("ready, gRPC on %s, ports %s", switch.grpc_address, options.ports)
        received = signal.sigwait(stop_signals)
        LOG.info("stopping after %s", signal.Signals(received).name)
        for number, stats in switch.port_stats().items():
            LOG.info("port %d: %s", number, stats)


def _set_up_log(options: Options) -> None:
    form = "[%(asctime)s] [%(levelname)s] %(name)s: %(message)s"
    logging.basicConfig(level=_LEVELS[options.log_level], format=form, stream=sys.stderr)
    if options.log_file is not None:
        path = options.log_file.with_name(options.log_file.name + ".txt")
        try:
            handler = logging.FileHandler(path)
        except OSError as error:
            raise InvalidArgument(f"--log-file {path}: {error.strerror}") from error
        handler.setFormatter(logging.Formatter(form))
        logging.getLogger().addHandler(handler)


if __name__ == "__main__":
    sys.exit(main())
