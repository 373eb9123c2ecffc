"""The command that hosts umbra and a user's Ryu applications. os-ken 4.2 brings no manager."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.commands.console import fail
from controller.commands.daemon import check_level, start_logging, summary, usable
from controller.version import version

LOG = logging.getLogger("umbra.ryu")
OWN_APP = "controller.ryu_app"
OWN_NAME = "umbra"
OPENFLOW_APP = "ofp_handler"
WAKE_S = 0.5


def ryu(
    apps: Annotated[
        list[str] | None,
        typer.Argument(metavar="[APP]...", help="your applications: files or module names"),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", envvar="UMBRA_CONFIG", metavar="FILE", help="the configuration"),
    ] = None,
    openflow_host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="where os-ken listens for OpenFlow, if one of your applications handles it",
        ),
    ] = "127.0.0.1",
    log_level: Annotated[
        str, typer.Option(metavar="LEVEL", help="debug, info, warning or error")
    ] = "info",
) -> None:
    """Run the daemon as a Ryu application (os-ken), your own Ryu applications beside it.

    They handle umbra's events: controller.ryu_events has EventForecast, EventShift,
    EventNodeFailed, EventNodeRecovered and EventReplicasSynced. No OpenFlow port is opened unless one of them handles
    OpenFlow events.
    """
    if config is None:
        fail("no configuration: give --config FILE or set UMBRA_CONFIG", 2)
    check_level(log_level)
    for app in apps or []:
        if app.endswith(".py") and not Path(app).is_file():
            fail(f"application {app}: no such file", 2)
    settings = usable(config)
    start_logging(log_level)
    LOG.info("umbra %s, %s: %s", version(), config, summary(settings))
    _leave(host(config, apps or [], openflow_host))


def host(config: Path, apps: list[str], openflow_host: str) -> int:
    """Load and run the applications until a signal comes or the controller ends; the exit code.

    Called in the main thread.
    """
    # gRPC blocks under eventlet, and the choice of the hub is made when os-ken is imported.
    os.environ["OSKEN_HUB_TYPE"] = "native"
    from os_ken import cfg
    from os_ken.base.app_manager import AppManager

    manager = AppManager.get_instance()
    try:
        manager.load_apps([OWN_APP, *apps])
    except (ImportError, SyntaxError) as error:
        fail(f"an application cannot be loaded: {error}", 1)
    cfg.CONF(args=[], project="umbra", default_config_files=[], default_config_dirs=[])
    cfg.CONF.set_override("umbra_config", str(config))
    cfg.CONF.set_default("ofp_listen_host", openflow_host)
    # A SimpleQueue may be filled from a signal handler, an Event may not.
    reasons: queue.SimpleQueue[str] = queue.SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: reasons.put(signal.Signals(received).name))
    clean = _run(manager, reasons, openflow_host)
    try:
        manager.close()
    except Exception:
        LOG.exception("not everything was stopped")
        return 1
    LOG.info("stopped")
    return 0 if clean else 1


def _first(reasons: queue.SimpleQueue[str]) -> str:
    # A signal that another thread got, as after SIGCONT, is handled when this one wakes.
    while True:
        with contextlib.suppress(queue.Empty):
            return reasons.get(timeout=WAKE_S)


def _run(manager: Any, reasons: queue.SimpleQueue[str], openflow_host: str) -> bool:
    """Start the loaded applications and wait for a reason to stop; whether all went well."""
    try:
        contexts = manager.create_contexts()
        manager.instantiate_apps(**contexts)
    except Exception:
        LOG.exception("an application did not start")
        return False
    own = manager.applications[OWN_NAME]
    own.on_end = lambda: reasons.put("the controller ended")
    if not own.core.is_alive():
        reasons.put("the controller ended")
    if OPENFLOW_APP in manager.applications:
        LOG.warning("an application handles OpenFlow: its port is open on %s", openflow_host)
    LOG.info("applications: %s", ", ".join(manager.applications))
    LOG.info("%s: stopping; the switches go on forwarding as they are", _first(reasons))
    return own.core.failure is None


def _leave(code: int) -> None:
    """End the process. Threads that os-ken cannot end (its kill does nothing) would keep it."""
    others = [
        thread.name
        for thread in threading.enumerate()
        if thread is not threading.main_thread() and not thread.daemon
    ]
    if others:
        LOG.warning("leaving threads behind that os-ken cannot end: %s", ", ".join(others))
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise typer.Exit(code)
