"""A person's orders about shares of routers: in force from the next cycle on, and freezes on record."""

from __future__ import annotations

from collections.abc import Callable

from controller.cycle import Cycle
from controller.model import Decision, Kind, Outcome
from controller.plan.routes_state import RoutesState, with_freeze, with_manual
from controller.recorder import Recorder

EVERYTHING = "*"  # the router of a decision that is about all of them

Change = Callable[[RoutesState], RoutesState]


class Orders:
    """Takes them from the first moment: the API is there before the switches are."""

    def __init__(self, cycle: Cycle, recorder: Recorder, clock: Callable[[], float]) -> None:
        self._cycle = cycle
        self._recorder = recorder
        self._clock = clock
        self._waiting: list[Change] | None = []  # until the start
        self._number = 0

    def begin(self, state: RoutesState) -> RoutesState:
        """What an earlier run remembered, with the orders that came before the start."""
        for change in self._waiting or ():
            state = change(state)
        self._waiting = None
        return state

    def freeze(self, router: str | None) -> None:
        """Change no share of this router, or of any, until unfrozen."""
        self._record(Kind.FREEZE, router, lambda state: with_freeze(state, router, True))

    def unfreeze(self, router: str | None) -> None:
        """Undo freeze; None frees every router."""
        self._record(Kind.UNFREEZE, router, lambda state: with_freeze(state, router, False))

    def manual_weight(self, router: str, shift_pct: int | None) -> None:
        """Set a router's shift by hand; None gives it back to the planner. ValueError beyond 0..100."""
        self._change(lambda state: with_manual(state, router, shift_pct))

    def _record(self, kind: Kind, router: str | None, change: Change) -> None:
        cycle, now_s = self._cycle, self._clock()
        self._change(change)
        shift = float(cycle.state.of(router).shift_pct) if router is not None else 0.0
        self._number += 1
        decision = Decision(
            id=f"{int(now_s * 1000)}-{kind.value}-{self._number}",
            time_s=now_s,
            kind=kind,
            router=router if router is not None else EVERYTHING,
            shift_before_pct=shift,
            shift_after_pct=shift,
            shadows=(),
            trigger="freeze",
            reason=f"a person asked to {kind.value} {router or 'every router'}",
        )
        self._recorder.decision(decision, Outcome(decision.id, (), (), None), now_s)

    def _change(self, change: Change) -> None:
        cycle = self._cycle
        cycle.state = change(cycle.state)
        if cycle.dry is not None:
            cycle.dry = change(cycle.dry)
        if self._waiting is not None:
            self._waiting.append(change)
