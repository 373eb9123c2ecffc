"""What happened to instances: in memory as series, on disk as a log (seed 9923865, data store and step 1)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from controller.observe.instance_log import InstanceLog, InstanceLogError
from controller.observe.instances import InstanceEvent, InstanceHistory
from controller.trouble import Troubles

TROUBLE = "instance history"
FORGET_EVERY_S = 3600.0
MOST_WAITING = 100_000  # events kept while the disk is full


@dataclass(slots=True)
class Came:
    """Grants since the last plan: all, and those that found no warm address."""

    grants: int = 0
    cold: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """An instance whose beginning was seen in this run, or remembered."""

    since_s: float
    profile: str


class Happened:
    """Events are noted at once, by whoever made them, and taken over by the loop."""

    def __init__(self, history: InstanceHistory, log: InstanceLog, troubles: Troubles) -> None:
        self.history = history
        self._log = log
        self._troubles = troubles
        self._new: list[InstanceEvent] = []
        self._unwritten: list[InstanceEvent] = []
        self._came: dict[tuple[str, int], Came] = defaultdict(Came)
        self._known: dict[tuple[str, str], Known] = {}
        self._forgot_s = float("-inf")

    async def recall(self, now_s: float) -> None:
        """The events of earlier runs."""
        try:
            events = await asyncio.to_thread(
                lambda: list(self._log.events(now_s - self._log.retention_s))
            )
        except InstanceLogError as error:
            self._troubles.begin(TROUBLE, str(error))
            return
        self.history.load(one for one in events if one.time_s <= now_s)
        for one in events:
            key = (one.subdivision, one.owner)
            if one.created:
                self._known[key] = Known(one.time_s, one.profile)
            else:
                self._known.pop(key, None)

    def created(
        self,
        subdivision: str,
        owner: str,
        address: str,
        shard: str,
        profile: str,
        now_s: float,
        *,
        warm: bool,
    ) -> None:
        """An instance came; `warm`: with an address that was held."""
        came = self._came[subdivision, 6 if ":" in address else 4]
        came.grants += 1
        came.cold += not warm
        self._known[subdivision, owner] = Known(now_s, profile)
        self._new.append(InstanceEvent(now_s, subdivision, owner, True, profile, address, shard))

    def ended(self, subdivision: str, owner: str, address: str, shard: str, now_s: float) -> None:
        """An instance went."""
        known = self._known.pop((subdivision, owner), None)
        self._new.append(
            InstanceEvent(
                now_s,
                subdivision,
                owner,
                False,
                known.profile if known is not None else "",
                address,
                shard,
                max(0.0, now_s - known.since_s) if known is not None else None,
            )
        )

    def profile(self, subdivision: str, owner: str) -> str:
        """Of an instance that runs; empty when that is not known."""
        known = self._known.get((subdivision, owner))
        return known.profile if known is not None else ""

    def correct(self, running: Mapping[str, Mapping[str, int]]) -> None:
        """What really runs: subdivision → profile → instances."""
        self._take_over()
        self.history.correct(running)

    def came(self, subdivision: str, family: int) -> Came:
        """Grants since the last call."""
        return self._came.pop((subdivision, family), Came())

    async def collect(self, now_s: float) -> None:
        """Take over what was noted, and write it down. A log that cannot be written is a trouble, and tried again."""
        self._take_over()
        self.history.advance(now_s)
        events, self._unwritten = self._unwritten, []
        forget = abs(now_s - self._forgot_s) >= FORGET_EVERY_S
        if not events and not forget:
            return
        try:
            await asyncio.to_thread(self._log.add, events)
            if forget:
                self._forgot_s = now_s
                await asyncio.to_thread(self._log.forget, now_s)
        except InstanceLogError as error:
            self._troubles.begin(TROUBLE, str(error))
            self._unwritten = [*events, *self._unwritten][-MOST_WAITING:]
        else:
            self._troubles.end(TROUBLE)

    def close(self) -> None:
        """Write what is left, if that can be, and close the log."""
        self._take_over()
        try:
            self._log.add(self._unwritten)
        except InstanceLogError as error:
            self._troubles.begin(TROUBLE, str(error))
        self._log.close()

    def _take_over(self) -> None:
        events, self._new = self._new, []
        for event in events:
            self.history.add(event)
        self._unwritten += events
