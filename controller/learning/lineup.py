"""The models in service: one serves; a challenger and the champion before predict in the dark.

After each cycle the dark ones forecast from the same samples, in a thread of their own, and what came
of earlier forecasts is compared; `ml.life.promotion` decides. Each model has a forecaster of its own, so
that a promotion is the exchange of one reference, and the new champion comes with its own corrections.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from controller.events import ModelDecided
from controller.learning.dark import Comparison, Dark
from controller.trouble import Troubles
from ml.breaches.warner import Warner
from ml.calendars.events import PlannedEvent
from ml.forecasting.forecast import Forecast
from ml.forecasting.forecaster import Forecaster
from ml.life.drift import ErrorDrift, InputReference
from ml.life.promotion import Contest, Rules, Verdict, What, relative_loss, trial, watch
from ml.life.registry import Kept, Registry, RegistryError
from ml.life.scoreboard import Block
from ml.life.version import Entry, Standing, State
from ml.series import Series

LOG = logging.getLogger(__name__)
COLD = "cold-start"  # the model that needs no training, on the scoreboard
RECENT = 200
TROUBLE = "models"


class Lineup:
    """Who serves. first: the forecaster in service, without a model; its siblings share its memory
    of days and weeks, to which only the one in service adds. install: puts a forecaster, and what warns
    beside it, into service. tell: is told of every decision.

    Everything is called in the controller's loop.
    """

    def __init__(
        self,
        registry: Registry,
        rules: Rules,
        first: Forecaster,
        install: Callable[[Forecaster, Warner | None], None],
        tell: Callable[[ModelDecided], None],
        troubles: Troubles,
        clock: Callable[[], float],
    ) -> None:
        self.registry = registry
        self.serving = COLD
        self.kept: Kept | None = None  # of the model in service
        self.challenger: Dark | None = None
        self.previous: Dark | None = None
        self.recent: deque[ModelDecided] = deque(maxlen=RECENT)
        self.errors = ErrorDrift()
        self._rules = rules
        self._install = install
        self._tell = tell
        self._troubles = troubles
        self._clock = clock
        self._forecaster = first
        self._watch_until_s: float | None = None
        self._number = -1
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="umbra-models")
        self._comparison = Comparison(first.settings, self._run, self._judge, troubles)

    @property
    def reference(self) -> InputReference | None:
        """Of the inputs of the model in service; None: unknown."""
        return self.kept.reference if self.kept is not None else None

    def begin_with(self, first: Forecaster) -> None:
        """Exchange the forecaster that has no model, before `recall`."""
        self._forecaster = first
        self._install(first, None)

    def plan(self, calendar: tuple[PlannedEvent, ...]) -> None:
        """Exchange the planned events of all that predict."""
        dark = [one.forecaster for one in (self.challenger, self.previous) if one is not None]
        for forecaster in (self._forecaster, *dark):
            forecaster.plan(calendar)

    async def recall(self) -> None:
        """Go on with the registry's champion, challenger and previous champion, if they changed."""
        try:
            states = await self._run(self.registry.states)
            if states.number == self._number:
                return
            self._number = states.number
            now_s = self._clock()
            await self._serve_kept(states.holder(State.CHAMPION))
            rival = states.holder(State.CHALLENGER)
            since_s = states.standings[rival].since_s if rival is not None else now_s
            self.challenger = await self._dark(rival, since_s)
            self._watch_until_s = states.watch_until_s
            keep = states.watch_until_s is not None and now_s < states.watch_until_s
            self.previous = await self._dark(states.previous, now_s) if keep else None
            self._troubles.end(TROUBLE)
        except RegistryError as error:
            self._troubles.begin(TROUBLE, str(error))

    def turn(
        self,
        now_s: float,
        values: Mapping[str, float],
        forecasts: Mapping[str, Forecast],
        series: Callable[[], Sequence[Series]],
    ) -> None:
        """After a cycle: its values now, its forecasts, and how to get the series that they were made
        from. The work goes on in the background; while it does, further cycles are left out.
        """
        dark = [one for one in (self.challenger, self.previous) if one is not None]
        self._comparison.turn(now_s, values, self.serving, forecasts, series, dark)

    async def settle(self) -> None:
        """Wait for what `turn` began."""
        await self._comparison.settle()

    async def challenge(self, entry: Entry, kept: Kept) -> None:
        """A version that was just trained and kept: it serves if it is the champion, else it is tried
        in the dark.
        """
        if entry.state is State.CHAMPION and self.serving == COLD:
            before = Dark(COLD, self._forecaster, None, self._contest(COLD, entry.id))
            self._watch_until_s = self._clock() + self._rules.watch_s
            await self._put(entry.id, entry.standing, COLD, self._watch_until_s)
            self._enter(entry.id, self._adopted(kept), kept)
            self.previous = before
            self._decided(entry.id, "first champion", entry.standing.reason, entry.version.metrics)
        elif entry.state is State.CHALLENGER:
            forecaster = self._adopted(kept)
            contest = self._contest(entry.id)
            self.challenger = Dark(entry.id, forecaster, kept, contest)
            self._decided(entry.id, "challenger", entry.standing.reason, entry.version.metrics)
        else:  # somebody put another into service while it was trained: as the registry says
            await self.recall()
            return
        self._number = (await self._run(self.registry.states)).number

    def drift_answered(self) -> None:
        """A training was begun because the errors have grown: watch anew whether they grow."""
        self.errors = replace(self.errors, sum=0.0)

    def note_rejected(self, entry: Entry) -> None:
        """A version that lost on its own hold-out."""
        self._decided(entry.id, "rejected", entry.standing.reason, entry.version.metrics)

    async def promote(self, name: str) -> None:
        """Put a version into service by hand. RegistryError when it cannot be used."""
        if name == self.serving:
            raise RegistryError(f"{name} serves already; choose another version")
        kept = await self._run(self.registry.load, name)
        forecaster = self._adopted(kept)
        before = self.serving
        reason = f"by hand, in place of {before}"
        await self._put(name, Standing(State.CHAMPION, self._clock(), reason), before, None)
        if self.challenger is not None and self.challenger.name == name:
            self.challenger = None
        self.previous = None  # a person's choice is not taken back by a test
        self._enter(name, forecaster, kept)
        self._decided(name, "promoted", reason, {})

    async def roll_back(self) -> str:
        """Put the champion before into service by hand, and return its name. RegistryError when there is
        none.
        """
        states = await self._run(self.registry.states)
        if states.previous is None:
            raise RegistryError(
                "no champion before this one is known; promote the version that should serve"
            )
        beaten = self.serving
        await self._go_back(states.previous, f"by hand, in place of {beaten}", {})
        return self.serving

    def table(self) -> dict[str, Any]:
        """For the API: who serves, who predicts in the dark and how they compare."""
        dark = [
            {"role": role, "version": one.name, "contest": one.contest.figures()}
            for role, one in (("challenger", self.challenger), ("previous", self.previous))
            if one is not None
        ]
        errors = self.errors
        return {
            "serving": self.serving,
            "watch_until_s": self._watch_until_s if self.previous is not None else None,
            "dark": dark,
            "drift": {
                "blocks": errors.seen,
                "latest_log_loss": errors.latest,
                "sum": errors.sum,
                "limit": errors.LIMIT,
                "drifted": errors.drifted,
            },
            "recent": [event.to_json() for event in reversed(self.recent)],
        }

    async def close(self) -> None:
        """End the background work."""
        await self._comparison.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _judge(self, block: Block, now_s: float) -> None:
        if self.serving in block.loss:
            was = self.errors.drifted
            loss = relative_loss(block, self.serving)
            self.errors = self.errors.after(math.log(loss) if loss > 0 else math.nan)
            if self.errors.drifted and not was:
                reason = (
                    f"its loss relative to persistence's has risen to {loss:.3f} from "
                    f"{math.exp(self.errors.level):.3f}"
                )
                figures = {"sum": self.errors.sum, "limit": self.errors.LIMIT, "loss": loss}
                self._decided(self.serving, "errors drifted", reason, figures)
        if self.previous is not None and self._watch_until_s is not None:
            self.previous = replace(self.previous, contest=self.previous.contest.after(block))
            verdict = watch(self.previous.contest, self._rules, now_s, self._watch_until_s)
            if verdict is not None:
                await self._watched(self.previous, verdict)
        if self.challenger is not None:
            self.challenger = replace(self.challenger, contest=self.challenger.contest.after(block))
            verdict = trial(self.challenger.contest, self._rules, now_s)
            if verdict is not None:
                await self._tried(self.challenger, verdict)

    async def _tried(self, rival: Dark, verdict: Verdict) -> None:
        now_s = self._clock()
        self.challenger = None
        if verdict.what is What.REJECTED:
            standing = Standing(State.REJECTED, now_s, verdict.reason, verdict.figures)
            before = self.previous.name if self.previous is not None else None
            await self._put(rival.name, standing, before, self._watch_until_s)
        else:
            standing = Standing(State.CHAMPION, now_s, verdict.reason, verdict.figures)
            before = self.serving
            self._watch_until_s = now_s + self._rules.watch_s
            await self._put(rival.name, standing, before, self._watch_until_s)
            contest = self._contest(before, rival.name)
            self.previous = Dark(before, self._forecaster, self.kept, contest)
            self._enter(rival.name, rival.forecaster, rival.kept)
        self._decided(rival.name, verdict.what.value, verdict.reason, verdict.figures)

    async def _watched(self, before: Dark, verdict: Verdict) -> None:
        if verdict.what is What.CONFIRMED:
            self.previous, self._watch_until_s = None, None
            if self.serving != COLD:
                standing = Standing(State.CHAMPION, self._clock(), verdict.reason, verdict.figures)
                await self._put(self.serving, standing, before.name, None)
            self._decided(self.serving, verdict.what.value, verdict.reason, verdict.figures)
        else:
            await self._go_back(before.name, verdict.reason, verdict.figures, before)

    async def _go_back(
        self, name: str, reason: str, figures: Mapping[str, Any], dark: Dark | None = None
    ) -> None:
        beaten, now_s = self.serving, self._clock()
        if name == COLD:
            standing = Standing(State.REJECTED, now_s, reason, figures)
            await self._run(self.registry.without_champion, standing)
            self._enter(
                COLD, dark.forecaster if dark is not None else self._forecaster.sibling(), None
            )
        else:
            kept = dark.kept if dark is not None else await self._run(self.registry.load, name)
            forecaster = dark.forecaster if dark is not None else self._adopted(kept)
            await self._put(name, Standing(State.CHAMPION, now_s, reason, figures), None, None)
            self._enter(name, forecaster, kept)
            if beaten != COLD:
                lost = Standing(State.REJECTED, now_s, reason, figures)
                await self._put(beaten, lost, None, None)
        self._number = (await self._run(self.registry.states)).number
        self.previous, self._watch_until_s = None, None
        self._decided(beaten, "rolled back", f"{name} serves again: {reason}", figures)

    async def _put(
        self, name: str, standing: Standing, previous: str | None, until_s: float | None
    ) -> None:
        """Into the registry."""

        def change() -> int:
            self.registry.change(name, standing, previous=previous, watch_until_s=until_s)
            return self.registry.states().number

        self._number = await self._run(change)

    def _enter(self, name: str, forecaster: Forecaster, kept: Kept | None) -> None:
        """Into service. A challenger that goes on is compared with the new one, from the beginning."""
        forecaster.plan(self._forecaster.settings.calendar)  # it may have changed meanwhile
        self.serving, self.kept, self._forecaster = name, kept, forecaster
        self.errors = ErrorDrift()
        self._install(forecaster, kept.warner if kept is not None else None)
        if self.challenger is not None:
            contest = self._contest(self.challenger.name)
            self.challenger = replace(self.challenger, contest=contest)

    async def _serve_kept(self, name: str | None) -> None:
        if name == self.serving or (name is None and self.serving == COLD):
            return
        if name is None:
            self._enter(COLD, self._forecaster.sibling(), None)
            return
        kept = await self._run(self.registry.load, name)
        self._enter(name, self._adopted(kept), kept)
        self._decided(name, "champion", "as kept in the registry", {})

    async def _dark(self, name: str | None, since_s: float) -> Dark | None:
        if name is None:
            return None
        for one in (self.challenger, self.previous):
            if one is not None and one.name == name:
                return one
        contest = replace(self._contest(name), began_s=since_s)
        if name == COLD:
            return Dark(COLD, self._forecaster.sibling(), None, contest)
        try:
            kept = await self._run(self.registry.load, name)
            return Dark(name, self._adopted(kept), kept, contest)
        except RegistryError as error:
            self._decided(name, "refused", str(error), {})
            return None

    def _contest(self, rival: str, serving: str | None = None) -> Contest:
        return Contest(serving or self.serving, rival, self._clock())

    def _adopted(self, kept: Kept | None) -> Forecaster:
        """A forecaster with this model. RegistryError when it was made for other settings."""
        forecaster = self._forecaster.sibling()
        if kept is not None:
            try:
                forecaster.adopt(kept.model)
            except ValueError as error:
                raise RegistryError(f"the kept model does not fit: {error}") from error
        return forecaster

    def _decided(self, name: str, what: str, reason: str, figures: Mapping[str, Any]) -> None:
        event = ModelDecided(self._clock(), self.registry.metric, name, what, reason, figures)
        self.recent.append(event)
        LOG.info("model %s %s: %s", name, what, reason)
        self._tell(event)

    async def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)
