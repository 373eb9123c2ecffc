"""umbra as a Ryu application, on os-ken.

The controller is the daemon's own, API included; it runs in a thread with an asyncio loop of its
own, and what it publishes becomes Ryu events (`controller.ryu_events`) for the applications beside
it. `umbra ryu --config FILE my_app.py` hosts both. Under another application manager, load
`controller.ryu_app` before the others and name the configuration by `--umbra-config FILE` or
UMBRA_CONFIG. No OpenFlow port is opened: os-ken opens one only for an application that handles
OpenFlow events.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import queue
import threading
from collections.abc import Callable
from typing import Any, ClassVar

from os_ken import cfg
from os_ken.base import app_manager
from os_ken.controller import event
from os_ken.lib import hub

from controller import ryu_events
from controller.config import Config, load
from controller.daemon import Controller
from controller.serve.host import serve
from controller.version import version

LOG = logging.getLogger("umbra.ryu")

MOST_WAITING = 1024
STOP_S = 30.0

if hub.HUB_TYPE != "native":
    raise RuntimeError(
        f"OSKEN_HUB_TYPE={hub.HUB_TYPE}: gRPC blocks under it; unset it, or set it to native"
    )

cfg.CONF.register_cli_opts(
    [cfg.StrOpt("umbra-config", default=None, help="umbra's configuration file")]
)


def configuration() -> str:
    """The file named by `--umbra-config` or UMBRA_CONFIG; ValueError when neither names one."""
    path = cfg.CONF.umbra_config or os.environ.get("UMBRA_CONFIG")
    if not path:
        raise ValueError("umbra has no configuration: give --umbra-config FILE or set UMBRA_CONFIG")
    return str(path)


class Core(threading.Thread):
    """The controller and its API in a loop of their own.

    `publish` is called in that loop with everything that the controller publishes. `failure`: what
    ended the core, None after a clean stop. `ended`, when given, is called as its last act.
    """

    def __init__(
        self,
        config: Config,
        publish: Callable[[object], None],
        ended: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(name="umbra-core")
        self._config = config
        self._publish = publish
        self._ended = ended
        self._guard = threading.Lock()
        self._asked = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._until: asyncio.Event | None = None
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Run until `kill` or until the controller fails."""
        try:
            asyncio.run(self._main())
        except BaseException as error:  # the hub would swallow it
            self.failure = error
            LOG.exception("the controller ended: %s", error)
        finally:
            if self._ended is not None:
                self._ended()

    async def _main(self) -> None:
        stop = asyncio.Event()
        with self._guard:
            self._loop, self._until = asyncio.get_running_loop(), stop
            if self._asked:
                return
        controller = Controller(self._config)
        controller.subscribe(self._publish)
        try:
            await serve(controller, self._config.api, version(), stop)
        finally:
            with self._guard:
                self._loop = None

    def kill(self) -> None:
        """Ask the core to stop. os-ken's manager calls its applications' threads by this name."""
        with self._guard:
            self._asked = True
            if self._loop is not None and self._until is not None:
                self._loop.call_soon_threadsafe(self._until.set)


def guarded(handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`handler`, its exceptions logged.

    Under the native hub an exception in a handler ends its application's event loop without a
    word; the queue then fills up and blocks whoever sends. Ryu's promise is that the application
    goes on.
    """

    @functools.wraps(handler)
    def call(ev: Any) -> Any:
        try:
            return handler(ev)
        except Exception:
            LOG.exception("handler %s of %s failed", handler.__name__, type(ev).__name__)
            return None

    call.umbra_guarded = True  # type: ignore[attr-defined]
    return call


class Publisher(threading.Thread):
    """Hands events to the applications that observe them, away from the controller's loop.

    An application that is too slow loses events (counted in `dropped`), it never holds up the
    controller or the other applications.
    """

    def __init__(self, app: app_manager.OSKenApp) -> None:
        super().__init__(name="umbra-publisher")
        self._app = app
        self._waiting: queue.Queue[event.EventBase | None] = queue.Queue(MOST_WAITING)
        self.dropped = 0

    def offer(self, news: object) -> None:
        """Take what the controller published; never blocks, never raises."""
        try:
            ev = ryu_events.event_of(news)
            if ev is not None:
                self._waiting.put_nowait(ev)
        except queue.Full:
            self._lost("umbra's own queue", news)
        except Exception:
            LOG.exception("%s was not published", type(news).__name__)

    def run(self) -> None:
        """Deliver until `finish`."""
        while (ev := self._waiting.get()) is not None:
            try:
                self._deliver(ev)
            except Exception:
                LOG.exception("%s was not delivered", type(ev).__name__)

    def finish(self) -> None:
        """Deliver what waits, then end."""
        self._waiting.put(None)

    def _deliver(self, ev: event.EventBase) -> None:
        for name in self._app.get_observers(ev, None):
            brick = app_manager.lookup_service_brick(name)
            if brick is None:
                continue
            handlers = brick.event_handlers.get(type(ev), [])
            handlers[:] = [h if hasattr(h, "umbra_guarded") else guarded(h) for h in handlers]
            if brick.events.full():
                self._lost(f"application {name}", ev)
            else:
                self._app.send_event(name, ev)

    def _lost(self, where: str, what: object) -> None:
        self.dropped += 1
        if self.dropped.bit_count() == 1:  # 1st, 2nd, 4th, 8th, …: the log is not flooded
            LOG.warning(
                "%s is full: %s dropped (%d so far)", where, type(what).__name__, self.dropped
            )


class Umbra(app_manager.OSKenApp):  # type: ignore[misc]
    """The Ryu application: starts the core, publishes its events, stops it."""

    _EVENTS: ClassVar[list[type]] = list(ryu_events.ALL)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.name = "umbra"
        self.publisher = Publisher(self)
        self.core: Core | None = None
        self.on_end: Callable[[], None] | None = None  # called when the core ends, for hosts

    def start(self) -> Core:
        """Start the controller. ConfigError or ValueError when its configuration is not usable."""
        config = load(configuration())
        super().start()
        self.publisher.start()
        self.core = Core(config, self.publisher.offer, self._core_ended)
        self.core.start()
        return self.core

    def stop(self) -> None:
        """Stop the controller, deliver the last events; the switches go on forwarding."""
        if self.core is not None:
            self.core.kill()
            self.core.join(STOP_S)
            if self.core.is_alive():
                LOG.error("the controller did not stop within %g s", STOP_S)
            self.publisher.finish()
            self.publisher.join(STOP_S)
            super().stop()

    def _core_ended(self) -> None:
        if self.on_end is not None:
            self.on_end()
