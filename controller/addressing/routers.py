"""Real routers: what they are told by BGP, and the configuration files that are rendered for them (seed 9055112,
section 4).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from controller.act.bgp import BgpSpeakerError
from controller.act.router_files.render import render
from controller.act.router_files.values import RouterFileError, RouterSettings
from controller.act.router_files.write import write
from controller.addressing.settings import FileSettings
from controller.model import Fabric, Shard, Subdivision
from controller.model.bgp import Advertisement, BgpPeer, BgpSettings
from controller.plan.shard_advertisements import shard_advertisements
from controller.trouble import Troubles

PATIENCE_S = 2.0  # that a turn waits for the speaker: the others must not wait for a router
BGP = "BGP"


class Speaker(Protocol):
    """What is needed of the BGP speaker's client."""

    async def sync(
        self, settings: BgpSettings, desired: Mapping[str, Iterable[Advertisement]]
    ) -> Any: ...

    async def close(self) -> None: ...


class Routers:
    """Tells peers and files about shards. A peer or a file that fails is a trouble, and tried again."""

    def __init__(
        self,
        fabric: Fabric,
        subdivisions: Sequence[Subdivision],
        settings: BgpSettings | None,
        speaker: Speaker | None,
        community_as: int | None,
        files: Sequence[FileSettings],
        troubles: Troubles,
    ) -> None:
        self._fabric = fabric
        self._subdivisions = tuple(subdivisions)
        self._settings = settings
        self._speaker = speaker
        self._community_as = community_as
        self._files = tuple(files)
        self._troubles = troubles
        self._told: tuple[tuple[str, str], ...] | None = None  # shards and states, that all know
        self._wanted: tuple[Shard, ...] = ()
        self._busy: asyncio.Task[None] | None = None

    async def tell(self, shards: Sequence[Shard]) -> None:
        """Have peers and files say what these shards are; waits a moment for it, and no longer."""
        self._wanted = tuple(shards)
        if _key(shards) == self._told and self._busy is None:
            return
        if self._busy is None:
            self._busy = asyncio.create_task(self._work())
        await asyncio.wait({self._busy}, timeout=PATIENCE_S)

    def doubt(self) -> None:
        """Compare again at the next call: a speaker that died has forgotten everything."""
        self._told = None

    async def close(self) -> None:
        """Leave the speaker: it goes on saying what it was told."""
        if self._busy is not None:
            self._busy.cancel()
            await asyncio.gather(self._busy, return_exceptions=True)
        if self._speaker is not None:
            await self._speaker.close()

    async def _work(self) -> None:
        try:
            while self._told != _key(self._wanted):
                shards = self._wanted
                done = await self._bgp(shards)
                done = await self._write_files(shards) and done
                if not done:
                    return
                self._told = _key(shards)
        finally:
            self._busy = None

    async def _bgp(self, shards: Sequence[Shard]) -> bool:
        if self._speaker is None or self._settings is None:
            return True
        try:
            routes = shard_advertisements(
                self._fabric,
                self._subdivisions,
                shards,
                self._settings,
                community_as=self._community_as,
            )
            await self._speaker.sync(self._settings, routes)
        except (BgpSpeakerError, OSError, ValueError, KeyError) as error:
            self._troubles.fail(BGP, error)
            return False
        self._troubles.end(BGP)
        return True

    async def _write_files(self, shards: Sequence[Shard]) -> bool:
        done = True
        for file in self._files:
            trouble = f"router file {file.path}"
            try:
                text = render(file.kind, self._router(file, shards), template=file.template)
                await asyncio.to_thread(write, file.kind, text, file.path)
            except (RouterFileError, OSError, ValueError, KeyError) as error:
                self._troubles.fail(trouble, error)
                done = False
            else:
                self._troubles.end(trouble)
        return done

    def _router(self, file: FileSettings, shards: Sequence[Shard]) -> RouterSettings:
        pools = tuple(prefix for one in self._subdivisions for prefix in one.prefixes)
        written: tuple[Advertisement, ...] = ()
        if file.next_hop is not None or file.next_hop_ipv6 is not None:
            alone = BgpPeer(
                file.name, file.router_id, file.local_as, file.next_hop, file.next_hop_ipv6
            )
            settings = BgpSettings(file.local_as, file.router_id, (alone,))
            written = shard_advertisements(
                self._fabric,
                self._subdivisions,
                shards,
                settings,
                community_as=file.community_as,
            )[alone.address]
        return RouterSettings(
            file.name,
            file.router_id,
            file.local_as,
            pools,
            file.community_as,
            file.umbra,
            written,
            file.neighbours,
        )


def _key(shards: Sequence[Shard]) -> tuple[tuple[str, str], ...]:
    return tuple((one.prefix, one.state.value) for one in shards)
