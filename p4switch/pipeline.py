"""One running program: its state, the generated functions, and `process`."""

from __future__ import annotations

from collections import Counter as Tally
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from p4switch.actions import ActionCall
from p4switch.codegen.context import Context
from p4switch.codegen.functions import Functions
from p4switch.errors import Unsupported
from p4switch.matches import Match
from p4switch.profiles import ActionProfile
from p4switch.program import DigestSpec, Program, TableNode, parse_json
from p4switch.replication import Replication
from p4switch.stateful import Counter, Meter, Register
from p4switch.tables import Entry, Table

Json = Any
Output = list[tuple[int, bytes]]
Process = Callable[[bytes, int, int], Output]  # (packet, ingress port, now_us)
DigestSink = Callable[[str, list[tuple[int, ...]]], None]
# BMv2's P4Runtime turns its own priorities (small wins) over at this pivot
MAX_PRIORITY = (1 << 31) - 1
MAX_WAITING = 1 << 16  # passes that wait for `resume`; what a packet adds beyond is dropped
ENDLESS = "endless recirculation"


class Pipeline:
    """A v1model program compiled to Python, with its tables, counters and other state.

    `process(packet, ingress_port, now_us)` runs a packet to completion and returns
    [(egress_port, packet)]. Only one thread may call it; tables may change meanwhile.
    """

    def __init__(
        self,
        json_text: str | bytes | Mapping[str, Json],
        *,
        cpu_port: int | None = None,
        drop_port: int = 511,
        on_digest: DigestSink | None = None,
    ) -> None:
        self.program = parse_json(json_text)
        self.cpu_port = cpu_port
        self.drop_port = drop_port
        self.on_digest = on_digest
        self.drops: Tally[str] = Tally()  # reason → packets that the switch itself dropped
        self.replication = Replication()
        self.max_passes = 1 << 22  # recirculations of one packet before it is dropped
        self.counters = _counters(self.program)
        self.meters = _meters(self.program)
        self.registers = _registers(self.program)
        self.digests: dict[str, DigestSpec] = {d.name: d for d in self.program.digests.values()}
        self.profiles: dict[str, ActionProfile] = {}
        self.tables: dict[str, Table] = {}
        for item in self.program.json["pipelines"]:
            for profile in item.get("action_profiles", ()):
                self.profiles[profile["name"]] = ActionProfile(
                    profile["name"],
                    size=int(profile.get("max_size") or 0),
                    is_selector="selector" in profile,
                )
        for pipeline in self.program.pipelines.values():
            for node in pipeline.tables.values():
                self.tables[node.name] = self._table(node)
        self.pending: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._rounds: deque[int] = deque()  # of the first of `pending`: how often each came back
        # `submit` is the first pass alone: passes after it wait for `resume`
        self.source, self.submit, self.process = self._compile()

    def set_port_status(self, port: int, up: bool) -> None:
        """Tell the selectors that a port went up or down (watch ports)."""
        for profile in self.profiles.values():
            profile.set_port_status(port, up)

    def resume(self, passes: int) -> Output:
        """Run at most so many of the passes that wait after `submit` (recirculated packets).

        A caller that takes turns between `submit` and `resume` keeps forwarding while a packet
        goes round thousands of times; `process` does not return before the last pass. A packet that
        comes back more than max_passes times is dropped and counted, as are copies of copies
        when too many passes wait.
        """
        out: Output = []
        pending, rounds = self.pending, self._rounds
        while pending and passes > 0:
            rounds.extend([1] * (len(pending) - len(rounds)))
            function, arguments = pending.popleft()
            came_back = rounds.popleft()
            function(*arguments, out)
            passes -= 1
            again = len(pending) - len(rounds)
            if again and (came_back >= self.max_passes or len(pending) > MAX_WAITING):
                self.drops[ENDLESS] += again
                for _ in range(again):
                    pending.pop()
            else:
                rounds.extend([came_back + 1] * again)
        return out

    def alone(self, packet: bytes, ingress_port: int, now_us: int) -> Output:
        """`process`, while passes of other packets that wait go on waiting."""
        others = tuple(self.pending)
        self.pending.clear()
        try:
            return self.process(packet, ingress_port, now_us)
        finally:
            self.pending.extend(others)

    # state

    def _table(self, node: TableNode) -> Table:
        json = node.json
        specs = {name: a.spec for name, a in node.actions.items()}
        default = json.get("default_entry")
        call: ActionCall | None = None
        if default:
            call = self._call(default["action_id"], default.get("action_data", []))
            specs.setdefault(call.name, self.program.actions[default["action_id"]].spec)
        profile = self.profiles.get(json.get("action_profile") or "")
        if profile is not None:
            profile.actions.update(specs)
        direct = json.get("direct_meters")
        table = Table(
            node.name,
            tuple(k.spec for k in node.keys),
            specs,
            size=int(json.get("max_size") or 1024),
            profile=profile,
            default=call,
            is_const_default=bool(
                default and (default.get("action_entry_const") or default.get("action_const"))
            ),
            has_counter=bool(json.get("with_counters")),
            has_meter=bool(direct),
            meter_unit=self._meter_unit(direct) if direct else "bytes",
            supports_timeout=bool(json.get("support_timeout")),
        )
        for entry in json.get("entries") or ():
            table.insert(self._entry(node, table, entry))
        table.is_const = bool(json.get("entries"))
        return table

    def _meter_unit(self, name: str) -> str:
        meters = {m["name"]: m for m in self.program.json.get("meter_arrays", ())}
        return str(meters[name]["type"])

    def _call(self, action_id: int, data: list[str]) -> ActionCall:
        action = self.program.actions[action_id]
        values = [int(v, 16) for v in data]
        widths = [w for _, w in action.params]
        wrapped = tuple(v & ((1 << w) - 1) for v, w in zip(values, widths, strict=True))
        return ActionCall(action.name, wrapped)

    def _entry(self, node: TableNode, table: Table, entry: Json) -> Entry:
        match: list[Any] = []
        for key, item in zip(node.keys, entry["match_key"], strict=True):
            full = (1 << key.spec.width_bits) - 1
            kind = key.spec.kind
            if kind == "exact":
                match.append(int(item["key"], 16))
            elif kind == "lpm":
                length = int(item["prefix_length"])
                match.append((int(item["key"], 16) & (full ^ (full >> length)), length))
            elif kind == "range":
                match.append((int(item["start"], 16), int(item["end"], 16)))
            else:
                mask = int(item["mask"], 16) & full
                value = int(item["key"], 16) & mask
                match.append((value, mask) if kind == "ternary" else value if mask else None)
        found: Match = tuple(match)
        priority = MAX_PRIORITY - int(entry["priority"]) if table.has_priority else 0
        action = entry["action_entry"]
        return Entry(
            found, priority, self._call(action["action_id"], action["action_data"]), is_const=True
        )

    # code

    def _compile(self) -> tuple[str, Process, Process]:
        ctx = Context(self.program, self.drop_port)
        profile_json = {
            p["name"]: p
            for i in self.program.json["pipelines"]
            for p in i.get("action_profiles", ())
        }
        meter_json = {m["name"]: m for m in self.program.json.get("meter_arrays", ())}
        ctx.space.update(
            tables=self.tables,
            counters=self.counters,
            meters=self.meters,
            registers=self.registers,
            profile_json=profile_json,
            meter_json=meter_json,
            drops=self.drops,
            replication=self.replication,
            pending=self.pending,
            digest_sink=self._send_digest,
        )
        functions = Functions(ctx)
        source = functions.source()
        space = ctx.space
        code = compile(source, f"<{self.program.json.get('program') or 'p4'}>", "exec")
        exec(code, space)
        first: Process = space["first"]
        if not functions.pends:
            return source, first, first
        pending, drain = self.pending, self._drain

        def process(data: bytes, ingress_port: int, now_us: int) -> Output:
            out = first(data, ingress_port, now_us)
            if pending:
                drain(out)
            return out

        return source, first, process

    def _drain(self, out: Output) -> None:
        """Run what waits until nothing does; a packet that never ends is dropped."""
        pending = self.pending
        passes = self.max_passes
        while pending:
            function, arguments = pending.popleft()
            function(*arguments, out)
            passes -= 1
            if not passes:
                self.drops[ENDLESS] += len(pending)
                pending.clear()

    def _send_digest(self, name: str, fields: list[tuple[int, ...]]) -> None:
        if self.on_digest is not None:
            self.on_digest(name, fields)


def _counters(program: Program) -> dict[str, Counter]:
    return {
        c["name"]: Counter(c["name"], int(c["size"]))
        for c in program.json.get("counter_arrays", ())
        if not c.get("is_direct")
    }


def _meters(program: Program) -> dict[str, Meter]:
    meters = {}
    for m in program.json.get("meter_arrays", ()):
        if int(m.get("rate_count", 2)) != 2:
            raise Unsupported(f"meter {m['name']} with {m['rate_count']} rates")
        if not m.get("is_direct"):
            meters[m["name"]] = Meter(m["name"], int(m["size"]), m["type"])
    return meters


def _registers(program: Program) -> dict[str, Register]:
    return {
        r["name"]: Register(r["name"], int(r["size"]), int(r["bitwidth"]))
        for r in program.json.get("register_arrays", ())
    }
