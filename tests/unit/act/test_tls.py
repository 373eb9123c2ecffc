"""A switch that asks for certificates gets the controller's."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from controller.act.node import NodeLink
from controller.act.program import default_files
from controller.model import Tls
from harness.authority import Authority
from harness.small import at, small_fabric, small_plan
from p4switch.server.tls import TlsFiles
from p4switch.switch import Switch


async def connected(switch: Switch, tls: Tls | None, patience_s: float) -> bool:
    """Does a link with these files get through, and program the switch?"""
    node = replace(at(small_fabric(), "e1", switch.grpc_address, 1), tls=tls)

    async def up(link: NodeLink) -> None:
        await link.reconcile(small_plan("e1"))

    link = NodeLink(
        node,
        default_files(),
        on_connected=up,
        on_down=lambda _: None,
        on_digest=lambda *_: None,
    )
    running = asyncio.create_task(link.run())
    try:
        async with asyncio.timeout(patience_s):
            while not link.reconciled:
                await asyncio.sleep(0.02)
    except TimeoutError:
        assert link.last_error
        return False
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return True


def test_only_a_controller_with_a_certificate_programs_the_switch(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "fabric")
    cert, key = authority.issue("switch")
    mine, mine_key = authority.issue("controller")
    files = TlsFiles(cert, key, authority.cert, True)
    with Switch(device_id=1, grpc_address="127.0.0.1:0", tls=files) as switch:
        ca = str(authority.cert)
        assert asyncio.run(connected(switch, Tls(ca, str(mine), str(mine_key)), 15))
        assert not asyncio.run(connected(switch, Tls(ca), 1))
        assert not asyncio.run(connected(switch, None, 1))
