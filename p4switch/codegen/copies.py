"""What leaves a pass besides the packet itself: clones, replicas, digests, packets that return."""

from __future__ import annotations

from typing import Any

from p4switch.codegen import expressions as ex
from p4switch.codegen.code import Path
from p4switch.codegen.context import Context
from p4switch.codegen.expressions import Ex
from p4switch.codegen.usage import STD

Json = Any
# standard_metadata.instance_type
NORMAL, INGRESS_CLONE, EGRESS_CLONE, RECIRCULATED, REPLICATED, RESUBMITTED = 0, 1, 2, 4, 5, 6


class Copies:
    """Emits copies of the packet. header_vars and meta_vars are what a copy takes to egress."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        program = ctx.program
        self.header_vars: list[str] = []
        self.meta_vars: list[str] = []
        ops: dict[str, set[int]] = {}
        for action in program.actions.values():
            for p in action.primitives:
                ops.setdefault(p["op"], set()).add(self._list_id(p))
        self.clones_i2e = sorted(ops.get("clone_ingress_pkt_to_egress", ()))
        self.clones_e2e = sorted(ops.get("clone_egress_pkt_to_egress", ()))
        self.resubmits = sorted(ops.get("resubmit", ()))
        self.recirculates = sorted(ops.get("recirculate", ()))
        self.digests = sorted(ops.get("generate_digest", ()))
        self.multicasts = program.has_field(STD, "mcast_grp")

    def _list_id(self, primitive: Json) -> int:
        if primitive["op"] in ("resubmit", "recirculate"):
            return int(primitive["parameters"][0]["value"], 16)
        if primitive["op"].startswith("clone_") or primitive["op"] == "generate_digest":
            return int(primitive["parameters"][1]["value"], 16)
        return 0

    def _copies(self) -> bool:
        """Whether the first pass may have outputs before its own packet."""
        return bool(self.clones_i2e)

    def _arms(self, path: Path, var: str, ids: list[int]) -> list[tuple[int, Path]]:
        """One path per list id that the variable may hold here."""
        value = self.ctx.pseudo(path, var)
        if not ids or value.const == 0:
            return []
        if value.const is not None:
            return [(value.const, path)]
        return [(i, path.open(f"if {value.p} == {i}:")) for i in ids]

    def _tuple(self, values: list[str]) -> str:
        return f"({', '.join(values)}{',' if len(values) == 1 else ''})"

    def _value(self, path: Path, var: str) -> str:
        known = path.known.get(var)
        if known is None:
            return self.ctx.names[var]
        header = self.ctx.usage.owner.get(var, "")
        layout = self.ctx.usage.layouts.get(header)
        empty = layout and layout.varbit and var == f"{header}.{layout.varbit.name}"
        return 'b""' if empty else str(known)

    def _kept(self, path: Path, list_id: int) -> str:
        """The metadata of a copy: fields of the list as they are, all else zero."""
        listed = {f"{h}.{f}" for h, f in self.ctx.program.field_lists.get(list_id, ())}
        return self._tuple([self._value(path, v) if v in listed else "0" for v in self.meta_vars])

    def _pend(self, path: Path, function: str, arguments: list[str], list_id: int) -> None:
        fields = self.ctx.program.field_lists.get(list_id, ())
        arguments += [self._value(path, f"{h}.{f}") for h, f in fields]
        path.line(f"pending.append(({function}, {self._tuple(arguments)}))")

    def _clone_i2e(self, path: Path, first: bool) -> None:
        flag = self.ctx.pseudo(path, "$clone")
        if not self.clones_i2e or flag.const == 0:
            return
        inside = path if flag.const is not None else path.open(f"if {flag.p}:")
        self._session(inside, flag)
        inside = inside.open("if session is not None:")
        port = self._value(inside, f"{STD}.ingress_port")
        inside.line(f"headers = parse(data, {port})")
        self._fields_by_list(inside, self.clones_i2e)
        if first:
            inside.line("out = []")
        loop = inside.open("for replica in session.replicas:")
        values = f"{INGRESS_CLONE}, n, cut, headers, fields, out"
        loop.line(f"egress_copy(data, now_us, replica.port, replica.instance, {values})")
        for var in ("$clone", "$clone_list"):
            path.known[var] = 0

    def _session(self, path: Path, flag: Ex) -> None:
        session = ex.binary("&", flag, ex.constant(0x7FFF))
        path.line(f"session = replication.clones.get({session.code})")

    def _fields_by_list(self, path: Path, ids: list[int]) -> None:
        path.line("cut = session.packet_length_bytes and session.packet_length_bytes + 1")
        chosen = self.ctx.pseudo(path, "$clone_list")
        if chosen.const is not None or len(ids) == 1:
            which = chosen.const if chosen.const is not None else ids[0]
            path.line(f"fields = {self._kept(path, which)}")
            return
        for position, list_id in enumerate(ids):
            test = f"{'el' if position else ''}if {chosen.p} == {list_id}:"
            path.open(test).line(f"fields = {self._kept(path, list_id)}")

    def _digest(self, path: Path) -> None:
        emit = self.ctx.bind("emit_digest", "", self.ctx.space["digest_sink"])
        for digest_id, arm in self._arms(path, "$digest", self.digests):
            digest = self.ctx.program.digests[digest_id]
            values = [
                f"int({self.ctx.unsigned(arm, *e['value']).code})"
                if e["type"] == "field"
                else str(int(e["value"], 16))
                for e in digest.elements
            ]
            arm.line(f"{emit}({digest.name!r}, [{self._tuple(values)}])")
        path.known["$digest"] = 0

    def _multicast(self, path: Path, first: bool) -> None:
        if not self.multicasts:
            return
        group = self.ctx.get(path, STD, "mcast_grp")
        if group.const == 0:
            return
        inside = path if group.const is not None else path.open(f"if {group.p}:")
        if first and self._copies():
            inside.line("out = out or []")
        elif first:
            inside.line("out = []")
        grown = self._length(inside, "n")
        inside.line(f"headers = {self._tuple([self._value(inside, v) for v in self.header_vars])}")
        inside.line(f"fields = {self._tuple([self._value(inside, v) for v in self.meta_vars])}")
        loop = inside.open(f"for replica in replication.multicast.get({group.code}, ()):")
        values = f"{REPLICATED}, {grown}, 0, headers, fields, out"
        loop.line(f"egress_copy(data, now_us, replica.port, replica.instance, {values})")
        if first:
            inside.end("return out")
        else:
            inside.end("return")

    def _length(self, path: Path, base: str) -> str:
        grown = self.ctx.pseudo(path, "$grown")
        if grown.const == 0:
            return base
        return f"{base} + {grown.p}" if grown.const is None else f"{base} + {grown.const}"
