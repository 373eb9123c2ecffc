"""Tables change while packets pass: each packet meets the old rows or the new ones, and none is lost."""

from __future__ import annotations

import select
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from harness.packets import inner, label_of, tcp
from harness.programmed import Programmed
from harness.small import DNS, R1, R2, WEB, weighted
from topologies.single import SingleSwitch

TO_CLIENT = 3
ROUNDS = 40
BURST = 10
PAUSE_S = 0.005
FIRST_PORT, CONNECTIONS = 1024, 20_000


@dataclass
class Talk:
    """Ports of the connections that were opened, and what came out of the switch."""

    opened: list[int] = field(default_factory=list)
    came_out: list[bytes] = field(default_factory=list)

    def go_on(self, device: SingleSwitch, over: threading.Event) -> None:
        """Open one connection after the other until it is over."""
        ends = [device.sockets[1], device.sockets[2]]
        syn = tcp(FIRST_PORT)
        while not over.wait(PAUSE_S):
            for _ in range(BURST):
                port = FIRST_PORT + len(self.opened) % CONNECTIONS
                device.send(TO_CLIENT, syn[:34] + port.to_bytes(2, "big") + syn[36:])
                self.opened.append(port)
            while ready := select.select(ends, [], [], 0)[0]:
                self.came_out += [end.recv(2048) for end in ready]


def test_no_packet_is_lost_while_rows_and_weights_change(edge: Programmed) -> None:
    plan = replace(edge.plan, index_mask=0xFFFF)
    without_dns = replace(
        plan,
        services=tuple(row for row in plan.services if row.service != DNS),
        origins=tuple(row for row in plan.origins if row.service != DNS),
    )
    edge.replan(plan)
    before = edge.link.updates

    async def change() -> None:
        for number in range(1, ROUNDS + 1):
            await edge.link.write_slot_sets([weighted(WEB, {R1: 100 - number, R2: number})])
            await edge.link.reconcile(without_dns if number % 2 else plan)

    talk, over = Talk(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        talking = pool.submit(talk.go_on, edge.device, over)
        try:
            edge.run(change())
        finally:
            over.set()
        talking.result()
    rest = edge.device.receive(len(talk.opened) - len(talk.came_out))
    came_out = talk.came_out + [packet for _, packet in rest]
    assert edge.link.updates - before >= 3 * ROUNDS  # weights, and at least two rows
    assert len(talk.opened) > ROUNDS
    assert sorted(inner(packet).sport for packet in came_out) == sorted(talk.opened)
    assert {label_of(packet) for packet in came_out} == {R1, R2}
