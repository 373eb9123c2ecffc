"""Action bodies: straight lines, and the jumps that p4c makes of ifs, returns and loops."""

from __future__ import annotations

from typing import Any

from p4switch.codegen.code import Label, Path, join
from p4switch.codegen.context import Context
from p4switch.codegen.expressions import Ex
from p4switch.codegen.primitives import Primitives
from p4switch.codegen.structure import END, backward, has_cycle, post_dominators
from p4switch.codegen.usage import DESTINATIONS, STD
from p4switch.errors import Unsupported
from p4switch.program import Action

Json = Any
JUMPS = ("_jump", "_jump_if_zero")
PSEUDO = {"$clone", "$clone_list", "$resubmit", "$recirculate", "$digest", "$truncate", "$grown"}


class ActionBodies:
    """Emits action bodies and tells what they read."""

    def __init__(self, ctx: Context, stop: str) -> None:
        self.ctx = ctx
        self.primitives = Primitives(ctx, stop)

    def exits(self, action: Action) -> bool:
        """Whether the action may end its pipeline."""
        return any(p["op"] == "exit" for p in action.primitives)

    def live_before(self, action: Action, after: set[str], at_exit: set[str]) -> set[str]:
        """Variables that are live before the action when `after` are live behind it."""
        live = set(after)
        if self.exits(action):
            live |= at_exit
        straight = not any(p["op"] in JUMPS or p["op"] == "exit" for p in action.primitives)
        for primitive in reversed(action.primitives):
            effects = self.ctx.usage.effects(primitive)
            if straight:
                live -= effects.kills
            live |= effects.reads
        return live

    def emit(
        self,
        path: Path,
        action: Action,
        params: list[Ex],
        live: set[str],
        at_exit: set[str],
        label: Label,
    ) -> None:
        """Inline the action. label: where exit goes (at_exit is live there)."""
        primitives = action.primitives
        if not any(p["op"] in JUMPS for p in primitives):
            afters: list[set[str]] = []
            now = set(live)
            if self.exits(action):
                now |= at_exit
            for primitive in reversed(primitives):
                afters.append(now)
                effects = self.ctx.usage.effects(primitive)
                now = (now - effects.kills) | effects.reads
            for primitive, after in zip(primitives, reversed(afters), strict=True):
                if primitive["op"] == "exit":
                    label.jump(path)
                    return
                self.primitives.emit(path, primitive, params, after)
            return
        self._jumping(path, action, params, live | at_exit if self.exits(action) else live, label)

    def _jumping(
        self, path: Path, action: Action, params: list[Ex], live: set[str], label: Label
    ) -> None:
        blocks, successors = self._blocks(action)
        if has_cycle(successors):
            self._loop(path, action, blocks, successors, params)
            return
        reads = {
            name: set().union(*(self.ctx.usage.effects(p).reads for p in body), set())
            for name, body in blocks.items()
        }
        before = backward(successors, lambda node, after: after | reads[node], live)
        meets = post_dominators(successors)
        self._region(path, "0", END, (blocks, successors, meets, before), params, label)

    def _blocks(self, action: Action) -> tuple[dict[str, list[Json]], dict[str, tuple[str, ...]]]:
        primitives = action.primitives
        size = len(primitives)
        starts = {0}
        for i, p in enumerate(primitives):
            if p["op"] in JUMPS:
                starts.update((i + 1, self._target(p)))
            elif p["op"] == "exit":
                starts.add(i + 1)
        cuts = sorted(s for s in starts if s < size)
        blocks: dict[str, list[Json]] = {}
        successors: dict[str, tuple[str, ...]] = {}

        def name(position: int) -> str:
            return str(position) if position < size else END

        for start, stop in zip(cuts, [*cuts[1:], size], strict=True):
            body = list(primitives[start:stop])
            last = body[-1]
            if last["op"] == "_jump":
                body.pop()
                successors[str(start)] = (name(self._target(last)),)
            elif last["op"] == "_jump_if_zero":
                successors[str(start)] = (name(stop), name(self._target(last)))
            else:
                successors[str(start)] = (name(stop),)
            blocks[str(start)] = body
        return blocks, successors

    def _target(self, primitive: Json) -> int:
        operand = primitive["parameters"][-1]
        if operand["type"] != "hexstr":
            raise Unsupported(f"{primitive['op']} to a target that is not constant")
        return int(operand["value"], 16)

    def _region(
        self, path: Path, node: str, end: str, graph: Any, params: list[Ex], label: Label
    ) -> None:
        blocks, successors, meets, before = graph
        while node != end and path.alive:
            body = blocks[node]
            for primitive in body:
                if primitive["op"] == "exit":
                    label.jump(path)
                    return
                if primitive["op"] != "_jump_if_zero":
                    self.primitives.emit(path, primitive, params, None)
            targets = successors[node]
            if len(targets) == 1:
                node = targets[0]
                continue
            condition = self.ctx.evaluate(path, body[-1]["parameters"][0], params)
            if condition.const is not None:
                node = targets[0] if condition.const else targets[1]
                continue
            meet = meets[node]
            inside = path.open(f"if {condition.code}:")
            self._region(inside, targets[0], meet, graph, params, label)
            other = path.fork()
            self._region(other, targets[1], meet, graph, params, label)
            after = join([inside, other], self.ctx.names, before[meet])
            if not other.code.empty():
                path.line("else:")
                path.code.items.append(other.code)
            if after is None:
                path.alive = False
                return
            path.adopt(after)
            node = meet

    def _loop(
        self,
        path: Path,
        action: Action,
        blocks: dict[str, list[Json]],
        successors: dict[str, tuple[str, ...]],
        params: list[Ex],
    ) -> None:
        """A body with a loop: numbered blocks under `while True`, all written variables local."""
        if self.exits(action):
            raise Unsupported(f"action {action.name}: exit in an action that has a loop")
        written = self._written(action)
        for var in sorted(written):
            if var in path.known:
                constant = self.ctx.names.constant(var, path.known[var])
                path.line(f"{self.ctx.names[var]} = {constant}")
            path.assigned(var)
        counter = self.ctx.names.fresh("block")
        path.line(f"{counter} = 0")
        loop = path.open(f"while {counter} >= 0:  # action {action.name}")
        order = {name: i for i, name in enumerate(blocks)}
        order[END] = -1
        keyword = "if"
        for name, body in blocks.items():
            inside = loop.open(f"{keyword} {counter} == {order[name]}:")
            keyword = "elif"
            condition: Ex | None = None
            for primitive in body:
                if primitive["op"] == "_jump_if_zero":
                    condition = self.ctx.evaluate(inside, primitive["parameters"][0], params)
                else:
                    self.primitives.emit(inside, primitive, params, None)
            go = [str(order[t]) for t in successors[name]]
            step = go[0] if condition is None else f"{go[0]} if {condition.p} else {go[1]}"
            for var, value in inside.known.items():
                if path.known.get(var) != value:
                    inside.line(f"{self.ctx.names[var]} = {self.ctx.names.constant(var, value)}")
            inside.line(f"{counter} = {step}")

    def _written(self, action: Action) -> set[str]:
        """Everything that the primitives may change."""
        usage = self.ctx.usage
        written = {v for v in self.ctx.names if v.startswith("$")} | PSEUDO
        written |= {f"{STD}.egress_spec", f"{STD}.mcast_grp"}
        for primitive in action.primitives:
            op, args = primitive["op"], primitive.get("parameters", [])
            for position in DESTINATIONS.get(op, ()):
                written.update(usage.targets(args[position]))
            if op in ("add_header", "remove_header", "push", "pop") or op.startswith("assign_"):
                for h in usage.headers_of(args[0]) if op != "assign_VL" else ():
                    written.update(usage.header_vars(h))
                    others = self.ctx.program.union_members.get(h, ())
                    written.update(f"{o}.$valid$" for o in others)
        return written
