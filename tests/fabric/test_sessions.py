"""Clone sessions and groups on a real switch: written, read back, changed under traffic, and gone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.act.records import RecordKind, record_of
from controller.act.sessions import CLONE, MULTICAST, read_sessions, sessions
from controller.model import NodePlan, PrimaryRow, SessionRow, TrainRow
from harness.packets import arriving, label_of
from harness.programmed import Programmed
from harness.small import R2

SPINE_1, SPINE_2 = 1, 2
NOWHERE = 77  # a port that the switch does not have


def with_shadow(plan: NodePlan, *replicas: tuple[int, int]) -> NodePlan:
    """r1 sends its records to these (port, label)."""
    return replace(
        plan,
        sessions=(SessionRow(1, replicas), SessionRow(2, ((510, 0),))),
        primaries=(PrimaryRow(R2, 1),),
        replicate=True,
    )


def held(router: Programmed) -> dict[Any, Any]:
    """What the switch says it holds."""

    async def read() -> dict[Any, Any]:
        assert router.link._p4 is not None
        return await read_sessions(router.link._p4)

    return router.run(read())


def records(router: Programmed, sport: int) -> list[tuple[int, int | None, RecordKind]]:
    """(port, label, kind) of the records that a new connection makes."""
    out = router.device.exchange(SPINE_1, arriving(sport))
    return sorted(
        (port, label_of(frame), record_of(frame).kind)
        for port, frame in out
        if label_of(frame) in (R2, R2 + 1)
    )


def test_what_is_written_is_read_back_and_nothing_is_left_to_write(router: Programmed) -> None:
    plan = with_shadow(router.plan, (SPINE_1, R2), (SPINE_2, R2 + 1))
    assert router.replan(plan) > 0
    assert held(router) == sessions(plan)
    assert router.replan(plan) == 0


def test_a_session_is_changed_in_place(router: Programmed) -> None:
    router.replan(with_shadow(router.plan, (SPINE_1, R2)))
    assert records(router, 1000) == [(SPINE_1, R2, RecordKind.OPEN)]
    assert router.replan(with_shadow(router.plan, (SPINE_2, R2), (SPINE_1, R2 + 1))) == 1
    assert records(router, 1001) == [
        (SPINE_1, R2 + 1, RecordKind.OPEN),
        (SPINE_2, R2, RecordKind.OPEN),
    ]


def test_a_copy_to_a_port_that_is_not_there_harms_nothing(router: Programmed) -> None:
    router.replan(with_shadow(router.plan, (NOWHERE, R2), (SPINE_2, R2 + 1)))
    assert records(router, 1000) == [(SPINE_2, R2 + 1, RecordKind.OPEN)]
    router.replan(with_shadow(router.plan, (SPINE_1, R2)))
    assert records(router, 1001) == [(SPINE_1, R2, RecordKind.OPEN)]


def test_what_is_wanted_no_more_is_gone(router: Programmed) -> None:
    before = replace(router.plan, sessions=(), trains=())
    router.replan(with_shadow(router.plan, (SPINE_1, R2)))
    router.replan(before)
    assert held(router) == {}
    assert records(router, 1000) == []
    assert router.replan(before) == 0


@pytest.mark.parametrize("copies", [1, 64])
def test_a_train_has_as_many_copies_as_wanted(router: Programmed, copies: int) -> None:
    plan = replace(router.plan, trains=(TrainRow(9, SPINE_1, copies),))
    router.replan(plan)
    found = held(router)
    assert found[MULTICAST, 9] == {(SPINE_1, copy) for copy in range(1, copies + 1)}
    assert {key for key in found if key[0] == CLONE} == {(CLONE, 2)}
