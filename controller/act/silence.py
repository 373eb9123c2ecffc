"""A switch whose reads stay unanswered: slow, or gone?

One that hangs, or a network that swallows everything, keeps its P4Runtime stream open for a quarter of an hour.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import finsy as fy

from controller.act.errors import NodeDown, describe

LOG = logging.getLogger(__name__)
SILENT_S = 4.0  # a connected switch that has answered nothing for so long is probed
PROBE_TIMEOUT_S = 4.0  # and given up when it does not answer that either


class Silence:
    """Of the switch `name`. ask: the smallest question; it raises NodeDown or fy.P4ClientError."""

    def __init__(self, name: str, ask: Callable[[], Awaitable[None]]) -> None:
        self._name = name
        self._ask = ask
        self._end: Callable[[str], None] = lambda _: None
        self._since_s: float | None = None  # when the first of the unanswered reads was asked
        self._probing: asyncio.Task[None] | None = None

    def begin(self, end: Callable[[str], None]) -> None:
        """A new session, which `end` ends for the reason given."""
        self._end, self._since_s = end, None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Around a read. After `SILENT_S` without any answer a probe decides whether to end the session."""
        answered = False
        asked_s = time.monotonic()
        try:
            yield
            answered = True
        except fy.P4ClientError as error:
            answered = error.code is not fy.GRPCStatusCode.DEADLINE_EXCEEDED
            raise
        finally:
            if answered:
                self._since_s = None
            elif self._since_s is None:
                self._since_s = asked_s
            elif time.monotonic() - self._since_s >= SILENT_S and self._probing is None:
                self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        """A switch that answers the smallest question is only slow, and stays."""
        end = self._end
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await self._ask()
        except TimeoutError:
            end(f"it stays connected but has not answered for {SILENT_S:g} s")
        except (NodeDown, fy.P4ClientError) as error:  # an error is an answer, too
            LOG.debug("%s: probe: %s", self._name, describe(error))
        finally:
            self._probing, self._since_s = None, None
