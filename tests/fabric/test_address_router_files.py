"""The configuration files of real routers, as the address shadow manager keeps them; judged by FRR and BIRD."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from controller.plan.shards.aggregation import fewest
from harness.addressing import ADDRESSES_YAML, AddressWorld

FILES = """\
  router_files:
    - {name: core, kind: KIND, path: core.conf, router_id: 10.0.0.9, local_as: 65009, community_as: 65000,
       next_hop: 10.1.1.1, next_hop_ipv6: "fd00:1::1"}
"""


@pytest.mark.parametrize("kind", ["frr", "bird"])
def test_a_router_file_has_the_shards_that_there_are(kind: str, tmp_path: Path) -> None:
    async def told() -> None:
        world = AddressWorld(tmp_path, ADDRESSES_YAML + FILES.replace("KIND", kind))
        manager = await world.start()
        await world.turns(3)
        file = tmp_path / "core.conf"
        assert world.troubles.open == {}
        text = file.read_text()
        prefixes = fewest(shard.prefix for shard in world.pool.shards())
        assert prefixes
        assert all(prefix in text for prefix in prefixes)
        written_ns = file.stat().st_mtime_ns
        await world.turns(10)
        assert file.stat().st_mtime_ns == written_ns  # nothing changed, nothing is written
        await manager.take("pod", "web-1")
        await world.stop()

    asyncio.run(told())
