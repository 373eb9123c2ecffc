"""Models that predict in the dark: from the same samples as the one that serves, compared with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller.trouble import Troubles
from ml.forecasting.forecast import Forecast
from ml.forecasting.forecaster import Forecaster
from ml.life.promotion import Contest
from ml.life.registry import Kept
from ml.life.scoreboard import Block, Scoreboard
from ml.series import Series
from ml.settings import Settings


@dataclass(frozen=True, slots=True, eq=False)
class Dark:
    """A model that predicts in the dark, and how it compares with the one that serves. kept: None for the
    cold-start model.
    """

    name: str
    forecaster: Forecaster
    kept: Kept | None
    contest: Contest


class Comparison:
    """What came of earlier forecasts, of all models, beside the cycle. run: calls a function in the
    models' thread; judge: is told of every block of the scoreboard that is full.
    """

    def __init__(
        self,
        settings: Settings,
        run: Callable[..., Awaitable[Any]],
        judge: Callable[[Block, float], Awaitable[None]],
        troubles: Troubles,
    ) -> None:
        self._board = Scoreboard(settings.horizons_s, settings.quantiles, settings.step_s)
        self._run = run
        self._judge = judge
        self._troubles = troubles
        self._work: asyncio.Task[None] | None = None

    def turn(
        self,
        now_s: float,
        values: Mapping[str, float],
        serving: str,
        forecasts: Mapping[str, Forecast],
        series: Callable[[], Sequence[Series]],
        dark: Sequence[Dark],
    ) -> None:
        """Begin a cycle's comparison in the background, unless the one before still runs. forecasts: of
        the model in service.
        """
        if self._work is not None and not self._work.done():
            return
        # The series are views that the next cycle changes.
        copies = [one.copy() for one in series() if dark and one.target in forecasts]
        by_model: dict[str, Mapping[str, Forecast]] = {serving: dict(forecasts)}
        self._work = asyncio.create_task(self._compare(now_s, dict(values), by_model, copies, dark))

    async def settle(self) -> None:
        """Wait for what `turn` began."""
        if self._work is not None:
            await asyncio.gather(self._work, return_exceptions=True)

    async def close(self) -> None:
        """End the background work."""
        if self._work is not None:
            self._work.cancel()
            await self.settle()

    async def _compare(
        self,
        now_s: float,
        values: Mapping[str, float],
        forecasts: dict[str, Mapping[str, Forecast]],
        series: Sequence[Series],
        dark: Sequence[Dark],
    ) -> None:
        with self._troubles.within("dark models"):
            block = await self._run(self._observe, now_s, values, forecasts, series, dark)
            if block is not None:
                await self._judge(block, now_s)

    def _observe(
        self,
        now_s: float,
        values: Mapping[str, float],
        forecasts: dict[str, Mapping[str, Forecast]],
        series: Sequence[Series],
        dark: Sequence[Dark],
    ) -> Block | None:
        block = self._board.observe(now_s, values)
        for one in dark:
            forecasts[one.name] = one.forecaster.predict(series, now_s)
        self._board.add(now_s, values, forecasts)
        return block
