"""Shares of the primaries' new traffic for their warm shadows: from the plan to the slot sets, and why."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from controller.model import Decision, Kind, Outcome
from controller.model.resources import Amounts
from controller.plan.resources import DeviceDecision, ManagerPlan, ManagerState, Warming
from controller.resources.settings import Device

SOURCE = "resources"
Parts = tuple[tuple[str, float], ...]


class Written(Protocol):
    """What became of a write."""

    @property
    def edges(self) -> tuple[str, ...]: ...

    @property
    def failed(self) -> tuple[tuple[str, str], ...]: ...

    @property
    def elapsed_ms(self) -> float: ...


Order = Callable[[str, Mapping[str, Parts]], Awaitable[Written | None]]
Note = Callable[[Decision, Outcome, float], None]


class Traffic:
    """order: brings shares into force (`Cycle.order`); in_force: what is ordered by now. note: takes decisions to the
    store and the audit log.
    """

    def __init__(
        self,
        devices: Sequence[Device],
        order: Order,
        in_force: Callable[[], Mapping[str, Parts]],
        note: Note,
    ) -> None:
        self._devices = {one.name: one for one in devices}
        self._order = order
        self._in_force = in_force
        self._note = note

    @property
    def parts(self) -> Mapping[str, Parts]:
        """Device → (switch, percent), in force. Of a router that a person has frozen that is not what was decided."""
        return self._in_force()

    def shares(self, plan: ManagerPlan, state: ManagerState) -> dict[str, Parts]:
        """Device → (switch, percent): the share of each device over its warm shadows, in proportion to their sizes."""
        warm = {one.key for one in state.queue if one.state is Warming.READY}
        placed = {one.device: one.placed for one in plan.decisions}
        found: dict[str, Parts] = {}
        for name, share_pct in plan.shares_pct.items():
            device = self._devices.get(name)
            own = [s for s in device.shadows if (name, s.name) in warm] if device else []
            if device is None or not own or share_pct <= 0:
                continue
            sizes = [_size(placed[name][s.name], device.capacity) for s in own]
            whole = sum(sizes)
            if whole > 0:
                found[name] = tuple(
                    (s.switch, share_pct * size / whole)
                    for s, size in zip(own, sizes, strict=True)
                    if size > 0
                )
        return found

    async def carry_out(self, plan: ManagerPlan, state: ManagerState, now_s: float) -> None:
        """Bring the shares into force, and record every change."""
        before = self.parts
        written = await self._order(SOURCE, self.shares(plan, state))
        after = self.parts
        by_device = {one.device: one for one in plan.decisions}
        for name in sorted({*before, *after}):
            old, new = before.get(name, ()), after.get(name, ())
            if old != new:
                self._tell(name, old, new, by_device.get(name), written, now_s)

    def _tell(
        self,
        name: str,
        old: Parts,
        new: Parts,
        decided: DeviceDecision | None,
        written: Written | None,
        now_s: float,
    ) -> None:
        was, now = (sum(pct for _, pct in parts) for parts in (old, new))
        moved = decided.transition if decided is not None else None
        inputs: dict[str, float | str | None] = {}
        reason = f"no policy holds for {name} any more: its new connections stay with it"
        if moved is not None:
            reason = moved.reason
            inputs = {"utilisation": moved.real, "predicted_utilisation": moved.predicted}
        decision = Decision(
            id=f"{int(now_s * 1000)}-{name}-resources",
            time_s=now_s,
            kind=Kind.SHIFT if now >= was else Kind.RESTORE,
            router=name,
            shift_before_pct=was,
            shift_after_pct=now,
            shadows=tuple(switch for switch, _ in new),
            trigger=SOURCE,
            reason=reason,
            inputs=inputs,
        )
        outcome = Outcome(decision.id, (), (), None)
        if written is not None:
            outcome = Outcome(decision.id, written.edges, written.failed, written.elapsed_ms)
        self._note(decision, outcome, now_s)


def _size(amounts: Amounts, capacity: Amounts) -> float:
    """What a shadow has of the primary's capacity, of the scarcest resource that is compared."""
    own: list[Any] = [have / of for have, of in zip(amounts, capacity, strict=True) if of > 0]
    return float(min(own)) if own else 0.0
