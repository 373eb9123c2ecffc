"""`umbra bgp`, against a real speaker."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from controller.act.bgp import BgpSpeaker
from controller.commands.bgp import bgp
from controller.model.bgp import Advertisement, BgpPeer, BgpSettings

PEER = BgpPeer("border", "127.0.0.1", 65001, next_hop="10.1.1.1", port=1)
SETTINGS = BgpSettings(65000, "192.0.2.1", (PEER,))


@pytest.fixture
def run_dir(tmp_path: Path) -> Iterator[Path]:
    """Where a speaker runs, which has one route for a router that does not answer."""

    async def begin() -> int:
        speaker = BgpSpeaker(tmp_path)
        route = Advertisement("10.50.1.0/26", "10.1.1.1", med=7, communities=((65000, 100),))
        await speaker.sync(SETTINGS, {PEER.address: [route]})
        held = await speaker.read()
        await speaker.close()
        return held.pid

    pid = asyncio.run(begin())
    yield tmp_path
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def test_sessions_and_routes_are_shown(run_dir: Path) -> None:
    shown = CliRunner().invoke(bgp, ["--run-dir", str(run_dir)])
    assert shown.exit_code == 0
    assert "border" in shown.output
    assert "127.0.0.1" in shown.output
    routes = CliRunner().invoke(bgp, ["--run-dir", str(run_dir), "routes", "border"])
    assert "10.50.1.0/26" in routes.output
    assert "65000:100" in routes.output


def test_the_same_as_json(run_dir: Path) -> None:
    shown = CliRunner().invoke(bgp, ["--run-dir", str(run_dir), "--json"])
    (peer,) = json.loads(shown.output)["peers"]
    assert (peer["name"], peer["wanted"], peer["advertised"]) == ("border", 1, 0)
    routes = CliRunner().invoke(bgp, ["--run-dir", str(run_dir), "routes", "127.0.0.1", "--json"])
    assert json.loads(routes.output)[0]["med"] == 7


def test_an_unknown_peer_is_told_who_there_is(run_dir: Path) -> None:
    shown = CliRunner().invoke(bgp, ["--run-dir", str(run_dir), "routes", "core"])
    assert shown.exit_code == 2
    assert "border" in shown.output


def test_stop_ends_the_speaker_and_looking_starts_none(run_dir: Path) -> None:
    assert CliRunner().invoke(bgp, ["--run-dir", str(run_dir), "stop"], input="n\n").exit_code == 1
    assert (run_dir / "bgp.sock").exists()
    assert CliRunner().invoke(bgp, ["--run-dir", str(run_dir), "stop", "--yes"]).exit_code == 0
    shown = CliRunner().invoke(bgp, ["--run-dir", str(run_dir)])
    assert shown.exit_code == 1
    assert "no BGP speaker serves" in shown.output
    assert not (run_dir / "bgp.sock").exists()
