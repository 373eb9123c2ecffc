"""The pre-warming queue: which shadows get their resources and configuration first. One that fails holds up nobody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from controller.model.resources import Amounts


class Warming(StrEnum):
    """The life of a request: queued → warming → ready. A failed one is queued again, later."""

    QUEUED = "queued"
    WARMING = "warming"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """at_once: shadows warmed at the same time. patience_s: after which a warming one counts as dead. retry_s: first
    wait after a failure, doubled each time up to longest_retry_s.
    """

    at_once: int = 4
    patience_s: float = 60.0
    retry_s: float = 5.0
    longest_retry_s: float = 300.0

    def __post_init__(self) -> None:
        if self.at_once < 1:
            raise ValueError(f"at_once is {self.at_once}: at least 1, or nothing is ever warmed")


@dataclass(frozen=True, slots=True)
class WarmRequest:
    """needed_s: when the load is expected (Unix time). worth: expected saving, which orders those needed at the same
    time.

    began_s: of the present attempt. not_before_s: of the next one. failures: in a row. trouble: of the latest one.
    """

    device: str
    shadow: str
    amounts: Amounts
    needed_s: float
    worth: float = 0.0
    state: Warming = Warming.QUEUED
    began_s: float = 0.0
    not_before_s: float = float("-inf")
    failures: int = 0
    trouble: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Device and shadow."""
        return self.device, self.shadow


@dataclass(frozen=True, slots=True)
class WarmReport:
    """What became of an attempt, or that a ready shadow died. error: empty when it is ready."""

    device: str
    shadow: str
    error: str = ""


Queue = tuple[WarmRequest, ...]


def ask(queue: Queue, wanted: Iterable[WarmRequest]) -> Queue:
    """The queue for what is wanted now: progress and failures stay, amounts and times follow, the unwanted go."""
    before = {one.key: one for one in queue}
    found: dict[tuple[str, str], WarmRequest] = {}
    for one in wanted:
        old = before.get(one.key)
        if old is not None:
            one = replace(
                old, amounts=one.amounts, needed_s=min(old.needed_s, one.needed_s), worth=one.worth
            )
        found[one.key] = one
    return tuple(found[key] for key in sorted(found))


def report(
    queue: Queue, reports: Sequence[WarmReport], now_s: float, settings: QueueSettings
) -> Queue:
    """Take in what became of attempts; an attempt that takes longer than patience_s has failed."""
    said = {(one.device, one.shadow): one for one in reports}
    found = []
    for one in queue:
        told = said.get(one.key)
        if told is not None and told.error and one.state is not Warming.QUEUED:
            one = _failed(one, told.error, now_s, settings)
        elif told is not None and not told.error and one.state is Warming.WARMING:
            one = replace(one, state=Warming.READY, failures=0, trouble="")
        elif one.state is Warming.WARMING and now_s - one.began_s > settings.patience_s:
            trouble = f"not ready after {settings.patience_s:g} s; look at the log of {one.shadow}"
            one = _failed(one, trouble, now_s, settings)
        found.append(one)
    return tuple(found)


def start(
    queue: Queue, now_s: float, settings: QueueSettings
) -> tuple[Queue, tuple[WarmRequest, ...]]:
    """Begin to warm as many as may be at once: the earliest needed first, then the most worth. Returns what begins."""
    room = settings.at_once - sum(one.state is Warming.WARMING for one in queue)
    waiting = sorted(
        (one for one in queue if one.state is Warming.QUEUED and one.not_before_s <= now_s),
        key=lambda one: (one.needed_s, -one.worth, one.key),
    )
    begun = {
        one.key: replace(one, state=Warming.WARMING, began_s=now_s)
        for one in waiting[: max(0, room)]
    }
    return tuple(begun.get(one.key, one) for one in queue), tuple(begun.values())


def _failed(one: WarmRequest, trouble: str, now_s: float, settings: QueueSettings) -> WarmRequest:
    # The exponent is bounded: 2.0 ** 2000 would be an error.
    wait_s = min(settings.longest_retry_s, settings.retry_s * 2.0 ** min(one.failures, 30))
    return replace(
        one,
        state=Warming.QUEUED,
        not_before_s=now_s + wait_s,
        failures=one.failures + 1,
        trouble=trouble,
    )
