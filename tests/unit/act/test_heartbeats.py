"""Heartbeats of held addresses: what is sent, when, and what an answer says."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.l2 import ARP, Ether

from controller.act.heartbeats import JITTER, Pacer, arp_answer, arp_request
from controller.act.host_values import Holding

GATEWAY, GATEWAY_MAC = "10.64.255.254", "02:00:00:00:02:01"
PERIOD_S = 10.0


def holding(number: int) -> Holding:
    """The holding of that number, 0..65535."""
    return Holding(
        f"10.64.{number >> 8}.{number & 255}",
        f"02:00:0a:40:{number >> 8:02x}:{number & 255:02x}",
        GATEWAY,
    )


def reply(to: Holding, about: str, mac: str) -> bytes:
    """Somebody tells `to` that `about` has that MAC."""
    answer = ARP(op=2, hwsrc=mac, psrc=about, hwdst=to.mac, pdst=to.address)
    return bytes(Ether(src=mac, dst=to.mac) / answer)


def test_a_beat_announces_the_address_and_asks_for_the_gateway() -> None:
    pacer = Pacer(PERIOD_S)
    pacer.add(holding(5), 0.0)
    announced, asked = (Ether(frame) for frame in pacer.due(0.0))
    for frame in (announced, asked):
        assert (frame.src, frame.dst) == ("02:00:0a:40:00:05", "ff:ff:ff:ff:ff:ff")
        assert (frame[ARP].op, frame[ARP].hwsrc, frame[ARP].psrc) == (1, frame.src, "10.64.0.5")
    assert (announced[ARP].pdst, asked[ARP].pdst) == ("10.64.0.5", GATEWAY)


def test_an_answer_for_the_address_with_its_mac_confirms_it() -> None:
    pacer = Pacer(PERIOD_S)
    own = holding(5)
    pacer.add(own, 0.0)
    assert pacer.held(1.0)[0].silent_s is None
    pacer.take(reply(own, own.address, own.mac), 2.0)
    [held] = pacer.held(3.5)
    assert (held.silent_s, held.confirmed, held.disputed) == (1.5, True, False)


def test_an_answer_with_another_mac_is_a_dispute() -> None:
    pacer = Pacer(PERIOD_S)
    own = holding(5)
    pacer.add(own, 0.0)
    pacer.take(reply(own, own.address, "02:00:00:00:00:99"), 2.0)
    [held] = pacer.held(3.0)
    assert (held.silent_s, held.confirmed, held.disputed) == (None, False, True)


def test_an_answer_of_the_gateway_says_that_the_address_is_reached() -> None:
    pacer = Pacer(PERIOD_S)
    pacer.add(holding(5), 0.0)
    pacer.add(holding(6), 0.0)
    pacer.take(reply(holding(6), GATEWAY, GATEWAY_MAC), 2.0)
    first, second = pacer.held(3.0)
    assert (first.silent_s, second.silent_s, second.confirmed) == (None, 1.0, False)


def test_what_is_handed_over_beats_no_more_and_may_begin_anew() -> None:
    pacer = Pacer(PERIOD_S)
    pacer.add(holding(5), 0.0)
    pacer.due(0.0)
    pacer.remove("10.64.0.5")
    assert pacer.due(100.0) == []
    assert pacer.held(100.0) == ()
    pacer.add(holding(5), 101.0)
    assert len(pacer.due(101.0)) == 2
    assert len(pacer.due(101.0 + 1.2 * PERIOD_S)) == 2  # one heart, not two


@given(st.binary(max_size=80))
def test_no_frame_upsets_it(frame: bytes) -> None:
    pacer = Pacer(PERIOD_S)
    pacer.add(holding(1), 0.0)
    pacer.take(frame, 1.0)
    assert len(pacer) == 1


@given(st.binary(min_size=6, max_size=6), st.binary(min_size=4, max_size=4))
def test_a_request_is_no_answer(mac: bytes, address: bytes) -> None:
    assert arp_answer(arp_request(mac, address, address)) is None


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=60), st.integers(0, 9))
def test_every_held_address_beats_once_a_period(steps: list[tuple[int, bool]], seed: int) -> None:
    pacer = Pacer(PERIOD_S, seed)
    now_s, held = 0.0, set()
    for number, holds in steps:
        now_s += 0.3
        if holds and number not in held:
            pacer.add(holding(number), now_s)
            held.add(number)
        elif not holds:
            pacer.remove(holding(number).address)
            held.discard(number)
    beats: dict[str, list[float]] = {holding(number).address: [] for number in held}
    end_s = now_s + 5 * PERIOD_S
    while now_s < end_s:
        for frame in pacer.due(now_s)[::2]:
            beats[Ether(frame)[ARP].psrc].append(now_s)
        wait_s = pacer.wait_s(now_s)
        now_s = end_s if wait_s is None else now_s + wait_s
    for times in beats.values():
        assert len(times) >= 4
        for earlier, later in pairwise(times):
            assert later - earlier == pytest.approx(PERIOD_S, rel=JITTER + 1e-6)
