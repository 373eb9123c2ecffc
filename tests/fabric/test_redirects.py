"""What a client of a redirected prefix experiences at an edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from controller.act.contents import with_slot_sets
from controller.model import RedirectRow, SlotSet
from controller.observe.counters import redirected, redirected_requests
from harness.packets import inner, label_of
from harness.programmed import Programmed
from harness.small import CLIENT_MAC, R1, R2, VIP, WEB, mac, weighted

TO_CLIENT = 3
EAST, NORTH = 17, 18  # slot sets of the web service's copies: r2, and r1
ROME, FARO, OSLO = "10.2.0.5", "10.2.7.5", "10.9.0.5"
COPIES = (SlotSet(EAST, (R2,) * 100), SlotSet(NORTH, (R1,) * 100))


def packet(source: str, sport: int, flags: str = "S") -> bytes:
    """From a client anywhere to the web service."""
    ip = IP(src=source, dst=VIP)
    return bytes(
        Ether(src=CLIENT_MAC, dst=mac("e1")) / ip / TCP(sport=sport, dport=80, flags=flags)
    )


def redirect(edge: Programmed, *rows: tuple[str, int | None]) -> int:
    """Make these the redirects of the web service, whose other clients all go to r1; how many updates did it take?"""
    plan = with_slot_sets(edge.plan, [weighted(WEB, {R1: 100}), *COPIES])
    own = tuple(RedirectRow(WEB, prefix, number) for prefix, number in rows)
    return edge.replan(replace(plan, redirects=own))


def routers(
    edge: Programmed, source: str, ports: Sequence[int], flags: str = "S"
) -> dict[int, int | None]:
    """Port → the label that its packet got."""
    for port in ports:
        edge.device.send(TO_CLIENT, packet(source, port, flags))
    out = [one for _, one in edge.device.receive(len(ports))]
    return {inner(one)[TCP].sport: label_of(one) for one in out}


def everybody(ports: Sequence[int], label: int) -> dict[int, int | None]:
    return dict.fromkeys(ports, label)


def test_new_connections_of_the_prefix_go_to_the_copy_and_others_do_not(edge: Programmed) -> None:
    redirect(edge, ("10.2.0.0/16", EAST))
    ports = range(1000, 1020)
    assert routers(edge, ROME, ports) == everybody(ports, R2)
    assert routers(edge, OSLO, ports) == everybody(ports, R1)


def test_the_longest_prefix_wins(edge: Programmed) -> None:
    edge.weights(weighted(WEB, {R1: 100}))
    redirect(
        edge,
        ("0.0.0.0/0", EAST),
        ("10.2.0.0/16", None),
        ("10.2.7.0/24", EAST),
        (f"{FARO}/32", NORTH),
    )
    assert routers(edge, OSLO, [1]) == {1: R2}
    assert routers(edge, ROME, [1]) == {1: R1}
    assert routers(edge, "10.2.7.6", [1]) == {1: R2}
    assert routers(edge, FARO, [1]) == {1: R1}


def test_no_redirect_moves_an_established_connection(edge: Programmed) -> None:
    redirect(edge)
    old = range(2000, 2040)
    assert routers(edge, ROME, old) == everybody(old, R1)
    redirect(edge, ("10.2.0.0/16", EAST))
    assert routers(edge, ROME, old, "A") == everybody(old, R1)
    new = range(3000, 3040)
    assert routers(edge, ROME, new) == everybody(new, R2)
    redirect(edge)
    assert routers(edge, ROME, new, "A") == everybody(new, R2)
    assert routers(edge, ROME, old, "A") == everybody(old, R1)
    assert routers(edge, ROME, [4000]) == {4000: R1}


def test_another_service_at_the_same_address_is_not_redirected(edge: Programmed) -> None:
    redirect(edge, ("0.0.0.0/0", EAST))
    chosen = set()
    for sport in range(5000, 5008):
        ip = IP(src=ROME, dst=VIP) / UDP(sport=sport, dport=53) / b"?"
        [(_, came)] = edge.device.exchange(
            TO_CLIENT, bytes(Ether(src=CLIENT_MAC, dst=mac("e1")) / ip), 1
        )
        chosen.add(label_of(came))
    assert chosen == {R1, R2}


def test_what_the_switch_holds_reads_back_as_what_is_wanted(edge: Programmed) -> None:
    rows = (
        ("0.0.0.0/0", None),
        ("10.2.0.0/16", EAST),
        ("10.2.7.0/24", NORTH),
        (f"{FARO}/32", EAST),
    )
    assert redirect(edge, *rows) > 0
    assert redirect(edge, *rows) == 0
    assert redirect(edge, ("10.2.0.0/16", NORTH)) == 4  # one changed, three gone


def test_rows_count_the_new_connections_that_they_redirect(edge: Programmed) -> None:
    redirect(edge, ("10.2.0.0/16", EAST), ("0.0.0.0/0", None))
    ports = range(6000, 6012)
    routers(edge, ROME, ports)
    routers(edge, ROME, ports, "A")
    routers(edge, OSLO, ports[:5])
    found = redirected(edge.run(edge.link.read(redirected_requests())))
    assert found == {(WEB, "10.2.0.0/16"): len(ports), (WEB, "0.0.0.0/0"): 5}
