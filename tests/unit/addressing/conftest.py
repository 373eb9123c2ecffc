"""A world with a real pool, for stories of the address shadow manager."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from harness.addressing import ADDRESSES_YAML, AddressWorld

Story = Callable[[AddressWorld], Coroutine[Any, Any, None]]


@pytest.fixture
def tell(tmp_path: Path) -> Callable[..., None]:
    """Run a story in a world whose manager has made its first turns."""

    async def told(story: Story, addresses: str) -> None:
        world = AddressWorld(tmp_path, addresses)
        await world.start()
        try:
            await world.turns(3)
            await story(world)
            assert world.pool.audit() == []
        finally:
            await world.stop()

    return lambda story, addresses=ADDRESSES_YAML: asyncio.run(told(story, addresses))
