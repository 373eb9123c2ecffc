"""The difference that is written to the BGP speaker, and a speaker without peers, over its real socket."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.act.bgp import BgpSpeaker, BgpSpeakerError
from controller.act.bgp.client import difference
from controller.act.bgp.wire import settings_from_json, settings_to_json
from controller.model.bgp import Advertisement, BgpPeer, BgpSettings

PEER = BgpPeer("border", "127.0.0.1", 65001, next_hop="10.1.1.1", port=1, password="between-us")
SETTINGS = BgpSettings(65000, "192.0.2.1", (PEER,))
ROUTES = (Advertisement("10.50.1.0/26", "10.1.1.1"), Advertisement("10.50.2.0/26", "10.1.1.1"))

tables = st.dictionaries(
    st.sampled_from(("192.0.2.1", "192.0.2.2")),
    st.dictionaries(
        st.integers(0, 20).map(lambda n: f"10.50.{n}.0/24"), st.integers(0, 2), max_size=20
    ),
)


def made(table: dict[str, dict[str, int]]) -> dict[str, dict[str, Advertisement]]:
    return {
        address: {p: Advertisement(p, "10.1.1.1", med=med) for p, med in routes.items()}
        for address, routes in table.items()
    }


@given(tables, tables)
def test_the_difference_turns_one_table_into_the_other(
    before: dict[str, dict[str, int]], after: dict[str, dict[str, int]]
) -> None:
    held, wanted = made(before), made(after)
    change = difference({address: list(own.values()) for address, own in wanted.items()}, held)
    for address, routes in change.announce.items():
        for route in routes:
            assert held.get(address, {}).get(route.prefix) != route
            held.setdefault(address, {})[route.prefix] = route
    for address, gone in change.withdraw.items():
        for prefix in gone:
            del held[address][prefix]
    assert {a: r for a, r in held.items() if r} == {a: r for a, r in wanted.items() if r}
    assert not difference({a: list(r.values()) for a, r in wanted.items()}, wanted)


def test_a_prefix_has_one_spelling_and_comes_once() -> None:
    spelled = Advertisement("2001:DB8:0::/48", "2001:db8::1")
    change = difference({"192.0.2.1": [spelled]}, {})
    assert change.announce["192.0.2.1"][0].prefix == "2001:db8::/48"
    with pytest.raises(ValueError, match="twice"):
        difference({"192.0.2.1": [spelled, replace(spelled, prefix="2001:db8::/48")]}, {})


def test_settings_survive_the_wire_and_passwords_are_not_printed() -> None:
    assert settings_from_json(settings_to_json(SETTINGS)) == SETTINGS
    assert "between-us" not in repr(SETTINGS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"next_hop": None}, "next_hop"),
        ({"local_address": "::1"}, "same IP version"),
        ({"remote_as": 0}, "remote_as"),
        ({"hold_s": 3}, "hold_s"),
        ({"password": "x" * 81}, "password"),
        ({"hops": 0}, "hops"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(PEER, **changes)  # type: ignore[arg-type]


@pytest.fixture
def run_dir(tmp_path: Path) -> Iterator[Path]:
    """Where a speaker runs; it is ended afterwards."""
    yield tmp_path
    lock = tmp_path / "bgp.lock"
    if lock.exists():
        try:
            os.kill(int(lock.read_text()), signal.SIGKILL)
        except ProcessLookupError:
            return


def test_a_speaker_keeps_its_routes_while_controllers_come_and_go(run_dir: Path) -> None:
    async def controller(routes: tuple[Advertisement, ...]) -> tuple[int, int, int]:
        speaker = BgpSpeaker(run_dir)
        change = await speaker.sync(SETTINGS, {PEER.address: routes})
        held = await speaker.read()
        await speaker.close()
        assert set(held.routes[PEER.address].values()) == set(routes)
        assert held.settings is not None
        assert held.settings.peers[0].password is None
        return held.pid, change.announced, change.withdrawn

    pid, *wrote = asyncio.run(controller(ROUTES))
    assert wrote == [2, 0]
    assert asyncio.run(controller(ROUTES)) == (pid, 0, 0)
    assert asyncio.run(controller(ROUTES[:1])) == (pid, 0, 1)
    assert stat.S_IMODE((run_dir / "bgp.sock").stat().st_mode) == 0o600
    assert "between-us" not in (run_dir / "bgp.log").read_text()


def test_a_peer_that_does_not_answer_is_told_with_the_reason(run_dir: Path) -> None:
    async def watch() -> None:
        speaker = BgpSpeaker(run_dir)
        await speaker.sync(replace(SETTINGS, peers=(replace(PEER, password=None),)), {})
        for _ in range(200):
            (state,) = await speaker.states()
            if state.last_error is not None:
                break
            await asyncio.sleep(0.02)
        assert "refused" in (state.last_error or "")
        assert state.state == "Active"
        assert not state.settled
        await speaker.stop()

    asyncio.run(watch())


def test_another_as_number_needs_another_speaker(run_dir: Path) -> None:
    async def change() -> None:
        speaker = BgpSpeaker(run_dir)
        await speaker.sync(SETTINGS, {})
        with pytest.raises(BgpSpeakerError, match="stop it first"):
            await speaker.sync(replace(SETTINGS, local_as=65009), {})
        await speaker.stop()
        await speaker.sync(replace(SETTINGS, local_as=65009), {})
        await speaker.stop()

    asyncio.run(change())


def test_routes_for_nobody_are_refused(run_dir: Path) -> None:
    async def wrong() -> None:
        with pytest.raises(ValueError, match=r"192\.0\.2\.77"):
            await BgpSpeaker(run_dir).sync(SETTINGS, {"192.0.2.77": ROUTES})

    asyncio.run(wrong())


def test_two_controllers_at_once_share_one_speaker(run_dir: Path) -> None:
    async def both() -> None:
        first, second = BgpSpeaker(run_dir), BgpSpeaker(run_dir)
        held = await asyncio.gather(first.read(), second.read())
        assert held[0].pid == held[1].pid
        await first.close()
        await second.stop()

    asyncio.run(both())


def test_a_speaker_that_is_killed_is_replaced_and_told_again(run_dir: Path) -> None:
    async def kill() -> None:
        speaker = BgpSpeaker(run_dir)
        await speaker.sync(SETTINGS, {PEER.address: ROUTES})
        pids = set()
        for _ in range(5):
            pid = (await speaker.read()).pid
            pids.add(pid)
            os.kill(pid, signal.SIGKILL)
            change = await speaker.sync(SETTINGS, {PEER.address: ROUTES})
            assert (change.announced, change.withdrawn) == (2, 0)
        assert len(pids) == 5
        await speaker.stop()

    asyncio.run(kill())


def test_a_path_too_long_for_a_socket_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(BgpSpeakerError, match="too long"):
        BgpSpeaker(tmp_path / ("x" * 120))
