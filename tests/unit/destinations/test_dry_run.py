"""A dry run of destination shadowing: what it says, and what stays as it really is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from harness.destinations import DESTINATIONS_YAML, R1, R2, R3, ROME, WEB, DestinationWorld


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        world = DestinationWorld(tmp_path)
        await world.start()
        world.dry = True
        await world.turns(6, rome=40)
        assert set(world.come(ROME, 40)) == {R1}
        assert [(step["act"], step["dry_run"]) for step in world.recorder.steps] == [
            ("open", True),
            ("redirect", True),
        ]
        world.dry = False
        await world.turns(3, rome=40)
        assert set(world.come(ROME, 40)) == {R2, R3}
        await world.stop()

    asyncio.run(story())


def test_what_a_dry_run_would_redirect_is_still_offered_to_the_primary(tmp_path: Path) -> None:
    async def story() -> None:
        world = DestinationWorld(tmp_path, DESTINATIONS_YAML.replace("spare_cps: 100, ", ""))
        await world.start()
        world.dry = True
        spare = [one["spare_cps"] for one in world.manager.state()["sites"]]
        await world.turns(8, oslo=10, rome=40)
        assert world.served() == {"rome": "east"}
        assert world.loop.offered[WEB] == {"r1": 100.0}
        state = world.manager.state()
        assert [one["spare_cps"] for one in state["sites"]] == spare
        assert state["achieved"] == []
        await world.stop()

    asyncio.run(story())


def test_a_dry_run_leaves_it_known_what_real_redirects_take(tmp_path: Path) -> None:
    async def story() -> None:
        world = DestinationWorld(tmp_path)
        await world.start()
        await world.turns(6, oslo=10, rome=40)
        world.dry = True
        await world.turns(16, oslo=10)  # it would give the copy up
        assert world.served() == {}
        assert set(world.come(ROME, 40)) == {R2, R3}
        await world.turns(2, oslo=10, rome=40)
        assert world.loop.offered[WEB]["r1"] == pytest.approx(20.0)
        await world.stop()

    asyncio.run(story())


def test_a_copy_that_fails_as_a_dry_run_ends_leaves_real_redirects_to_real_copies(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        world = DestinationWorld(tmp_path)
        await world.start()
        world.dry = True
        await world.turns(6, rome=40)
        world.dry = False
        world.loop.away |= {"r2", "r3"}
        await world.manager.watch()  # before the next turn
        assert world.manager.state()["copies"] == []
        await world.stop()

    asyncio.run(story())
