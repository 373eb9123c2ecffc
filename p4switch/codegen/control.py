"""Ingress and egress pipelines → nested ifs: conditions, table lookups, inlined actions."""

from __future__ import annotations

from typing import Any

from p4switch.actions import CHOOSE
from p4switch.codegen import expressions as ex
from p4switch.codegen import hashing
from p4switch.codegen.actions import ActionBodies
from p4switch.codegen.code import Label, Path, join
from p4switch.codegen.context import Context
from p4switch.codegen.expressions import Ex
from p4switch.codegen.structure import END, backward, post_dominators
from p4switch.errors import Unsupported
from p4switch.matches import ExactIndex
from p4switch.program import Action, ConditionNode, Pipeline, TableNode
from p4switch.tables import Table

Json = Any
MAX_EMITTED = 20_000  # nodes, counting copies: more means a graph that is not a program's


class Control:
    """Generates one pipeline, once per function in which it occurs."""

    def __init__(self, ctx: Context, pipeline: Pipeline, stop: str, live_at_end: set[str]) -> None:
        self.ctx = ctx
        self.pipeline = pipeline
        self.stop = stop
        self.bodies = ActionBodies(ctx, stop)
        self.successors = {
            **{name: self._after_table(t) for name, t in pipeline.tables.items()},
            **{
                name: (c.true_next or END, c.false_next or END)
                for name, c in pipeline.conditions.items()
            },
        }
        self.meets = post_dominators(self.successors)
        self.live_at_end = live_at_end
        # an exit may leave any node for the end
        self.exits = any(
            self.bodies.exits(a) for t in pipeline.tables.values() for a in t.actions.values()
        )
        self.live = backward(self.successors, self._transfer, live_at_end)
        self._emitted = 0

    @property
    def live_in(self) -> set[str]:
        """Variables read by the pipeline or after it."""
        return self.live[self.pipeline.init or END]

    def emit(self, path: Path) -> Label:
        """Emit the whole pipeline; exits and the end meet at the returned label's position.

        The caller opens the `while True:` that the label's break leaves.
        """
        self._emitted = 0
        label = Label()
        self._region(path, self.pipeline.init or END, END, label)
        return label

    # the graph

    def _after_table(self, table: TableNode) -> tuple[str, ...]:
        if table.splits_hit_miss:
            return (table.next_hit or END, table.next_miss or END)
        base = table.base_next or END
        targets = [table.next_by_action.get(name, table.base_next) or END for name in table.actions]
        return tuple(dict.fromkeys([*targets, *([] if targets else [base])]))

    def _transfer(self, node: str, after: set[str]) -> set[str]:
        condition = self.pipeline.conditions.get(node)
        usage = self.ctx.usage
        if condition:
            return after | {f"{h}.{f}" for h, f in usage.fields_in(condition.expression)}
        table = self.pipeline.tables[node]
        inlined = self._constant_action(table)
        if inlined:
            return self.bodies.live_before(inlined, after, self.live_at_end)
        before = set(after)
        for action in table.actions.values():
            before |= self.bodies.live_before(action, after, self.live_at_end)
        before |= {f"{k.header}.{k.field}" for k in table.keys}
        before |= usage.inputs(list((self._selector(table) or {}).get("input", [])))
        target = self._meter_target(table)
        if target:
            before.add(f"{target[0]}.{target[1]}")
        return before

    def _selector(self, table: TableNode) -> Json:
        name = table.json.get("action_profile")
        return self.ctx.space["profile_json"].get(name, {}).get("selector") if name else None

    def _meter_target(self, table: TableNode) -> Json:
        name = table.json.get("direct_meters")
        return self.ctx.space["meter_json"][name]["result_target"] if name else None

    def _constant_action(self, table: TableNode) -> Action | None:
        """The action of a table without a key whose default action is constant."""
        default = table.json.get("default_entry")
        if table.keys or not default or table.json.get("with_counters"):
            return None
        if not default.get("action_const") and not default.get("action_entry_const"):
            return None
        return self.ctx.program.actions[default["action_id"]]

    # emission

    def _region(self, path: Path, node: str, end: str, label: Label) -> None:
        while node != end and path.alive:
            self._emitted += 1
            if self._emitted > MAX_EMITTED:
                raise Unsupported(
                    f"control {self.pipeline.name}: the control flow is too entangled"
                )
            condition = self.pipeline.conditions.get(node)
            meet = self.meets[node]
            if condition:
                taken = self._condition(path, condition, meet, label)
                node = meet if taken is None else taken
            else:
                node = self._table(path, self.pipeline.tables[node], meet, label)

    def _condition(self, path: Path, node: ConditionNode, meet: str, label: Label) -> str | None:
        """Emit an if; the next node when the condition is constant here."""
        value = self.ctx.evaluate(path, node.expression, [])
        if value.const is not None:
            return (node.true_next if value.const else node.false_next) or END
        yes, no = node.true_next or END, node.false_next or END
        note = f"  # {node.source}" if node.source and len(node.source) < 60 else ""
        if yes == meet:
            value, yes, no = ex.invert(value), no, yes
            flipped = True
        else:
            flipped = False
        inside = path.open(f"if {value.code}:{note}")
        self.refine(inside, node.expression, not flipped)
        self._region(inside, yes, meet, label)
        other = path.fork()
        self.refine(other, node.expression, flipped)
        self._region(other, no, meet, label)
        self._meet(path, [inside, other], meet)
        if not other.code.empty():
            path.line("else:")
            path.code.items.append(other.code)
        return None

    def refine(self, path: Path, node: Json, holds: bool) -> None:
        """Remember the validity bits that a condition tells."""
        while isinstance(node, dict) and node.get("type") == "expression":
            node = node["value"]
        if not isinstance(node, dict):
            return
        op = node.get("op")
        if op == "not":
            self.refine(path, node["right"], not holds)
        elif (op == "and" and holds) or (op == "or" and not holds):
            self.refine(path, node["left"], holds)
            self.refine(path, node["right"], holds)
        elif op in ("d2b", "valid"):
            inner = node["right"]
            if inner.get("type") == "header":
                inner = {"type": "field", "value": [inner["value"], "$valid$"]}
            if inner.get("type") == "field":
                header, name = inner["value"]
                field = self.ctx.width_of(header, name)
                if field.width == 1 and not field.signed:
                    var = f"{header}.{name}"
                    if var not in path.known:
                        path.held[var] = int(holds)  # the local says so itself
                    path.known[var] = int(holds)

    def _meet(self, path: Path, branches: list[Path], meet: str) -> None:
        after = join(branches, self.ctx.names, self._live_at(meet))
        if after is None:
            path.alive = False
        else:
            path.adopt(after)

    def _live_at(self, node: str) -> set[str]:
        return self.live[node]

    # tables

    def _table(self, path: Path, node: TableNode, meet: str, label: Label) -> str:
        """Emit a table and, where its outcome decides, what follows up to `meet`; the next node."""
        inlined = self._constant_action(node)
        if inlined:
            target = self._next(node, inlined.name)
            if node.splits_hit_miss:
                target = node.next_miss or END
            default = node.json["default_entry"]
            params = [ex.constant(int(v, 16)) for v in default["action_data"]]
            live = self._live_at(target)
            self.bodies.emit(path, inlined, params, live, self.live_at_end, label)
            return target
        table: Table = self.ctx.space["tables"][node.name]
        name = self.ctx.bind("table", node.name, table)
        path.line(f"# table {node.name}")
        needs_hit = node.splits_hit_miss and node.next_hit != node.next_miss
        self._lookup(path, node, table, name, needs_hit)
        return self._dispatch(path, node, needs_hit, meet, label)

    def _next(self, node: TableNode, action: str) -> str:
        return node.next_by_action.get(action, node.base_next) or END

    def _lookup(
        self, path: Path, node: TableNode, table: Table, name: str, needs_hit: bool
    ) -> None:
        if not node.keys:
            path.line(f"row = {name}.default_row")
            if needs_hit:
                path.line("hit = False")
            return
        values = []
        for key in node.keys:
            value = self.ctx.unsigned(path, key.header, key.field)
            if key.mask is not None:
                value = ex.binary("&", value, ex.constant(key.mask))
            values.append(value)
        code = values[0].code if len(values) == 1 else f"({', '.join(v.code for v in values)})"
        if isinstance(table.index, ExactIndex):
            get = self.ctx.bind("get", node.name, table.index.rows.get)
            if len(values) == 1:
                path.line(f"row = {get}({code})")
            else:
                rows = self.ctx.bind("rows", node.name, table.index.rows)
                path.line(f"row = {get}({code}) if {rows} else None")
        else:
            index = self.ctx.bind("index", node.name, table.index)
            path.line(f"value = {code}")
            path.line(f"row = {index}.cache.get(value)")
            path.line("if row is None:")
            path.line(f"    row = {index}.search(value)")
        hit_code = table.supports_timeout or table.has_counter or table.has_meter
        if needs_hit:
            path.line("hit = row")
        if not hit_code:
            path.line("if not row:")
            path.line(f"    row = {name}.default_row")
            return
        inside = path.open("if row:")
        self._on_hit(inside, node, table)
        other = path.open("else:")
        other.line(f"row = {name}.default_row")
        after = join([inside, other], self.ctx.names)
        if after is not None:
            path.adopt(after)

    def _on_hit(self, path: Path, node: TableNode, table: Table) -> None:
        """Counter, age and meter of the entry. A miss has none of them, as in BMv2."""
        path.line("entry = row[1]")
        if table.has_counter:
            path.line("entry.packets += 1")
            path.line("entry.bytes += n")
        if table.supports_timeout:
            path.line("entry.last_hit_us = now_us")
        target = self._meter_target(node)
        if target:
            amount = "1" if table.meter_unit == "packets" else "n"
            colour = f"entry.meter.execute(now_us, {amount}) if entry.meter else 0"
            header, field = target
            self.ctx.set(path, f"{header}.{field}", self.ctx.fit(header, field, Ex(colour, 0, 2)))

    def _choose(self, path: Path, node: TableNode) -> None:
        """Replace a row that stands for a member, group or slot set by the row to run."""
        selector = self._selector(node)
        drops = self.ctx.bind("stats", "", self.ctx.space["drops"])
        inside = path.open(f"if row[0] == {CHOOSE}:")
        inside.line("slots = row[2].slots")
        inside.line("if not slots:  # an empty group, or all its ports are down")
        inside.line(f"    {drops}['empty group'] += 1")
        inside.line(f"    {self.stop}")
        if selector is None:
            inside.line("row = slots[0]")
            return
        many = inside.open("if len(slots) > 1:")
        value = hashing.compute(self.ctx, many, selector["algo"], tuple(selector["input"]))
        many.line(f"row = slots[{value.p} % len(slots)]")
        inside.line("else:")
        inside.line("    row = slots[0]")

    def _dispatch(
        self, path: Path, node: TableNode, needs_hit: bool, meet: str, label: Label
    ) -> str:
        if node.json["type"] != "simple":
            self._choose(path, node)
        targets = {name: self._next(node, name) for name in node.actions}
        if node.splits_hit_miss:
            after = "" if needs_hit else node.next_hit or END
            targets = dict.fromkeys(node.actions, meet if needs_hit else after)
            live = self._live_at(meet) | self._live_at(node.next_hit or END)
            live = live | self._live_at(node.next_miss or END)
        else:
            live = set().union(*(self._live_at(t) for t in targets.values()))
        wanted = set(targets.values())
        same = len(wanted) <= 1
        # a block that several actions share is emitted once, after all of them
        shared = not same and any(t != meet and list(targets.values()).count(t) > 1 for t in wanted)
        inner = not same and not shared
        branches: list[tuple[str, Path]] = []
        for action in node.actions.values():
            branch = path.fork()
            arguments = [
                ex.local(f"row[{i + 2}]", 0, (1 << w) - 1) for i, (_, w) in enumerate(action.params)
            ]
            self.bodies.emit(branch, action, arguments, live, self.live_at_end, label)
            if inner:
                self._region(branch, targets[action.name], meet, label)
            branches.append((f"row[0] == {action.spec.index}:  # {action.name}", branch))
        if not node.json.get("default_entry"):  # a miss then does nothing
            rest = path.fork()
            if inner:
                self._region(rest, node.base_next or END, meet, label)
            branches.append(("True:", rest))
        self._chain(path, branches, self._live_at(meet) if inner else live)
        if not path.alive:
            return END
        if shared:
            self._shared(path, node, targets, meet, label)
            return meet
        if node.splits_hit_miss and needs_hit:
            inside = path.open("if hit:")
            self._region(inside, node.next_hit or END, meet, label)
            other = path.fork()
            self._region(other, node.next_miss or END, meet, label)
            self._meet(path, [inside, other], meet)
            if not other.code.empty():
                path.line("else:")
                path.code.items.append(other.code)
            return meet
        return meet if inner else next(iter(wanted), node.base_next or END)

    def _chain(self, path: Path, branches: list[tuple[str, Path]], live: set[str]) -> None:
        """if, elif, else over branches of which exactly one is taken."""
        after = join([b for _, b in branches], self.ctx.names, live)
        if not branches:
            return
        full = [b for b in branches if not b[1].code.empty()]
        if len(full) == len(branches):  # exhaustive: the last one needs no test
            test, last = full.pop()
            if not full:
                last.code.deeper = False
                path.code.items.append(last.code)
            rest: tuple[str, Path] | None = (test, last) if full else None
        else:
            rest = None
        keyword = "if"
        for test, branch in full:
            path.line(f"{keyword} {test}")
            path.code.items.append(branch.code)
            keyword = "elif"
        if rest:
            path.line("else:" + rest[0].partition(":")[2])
            path.code.items.append(rest[1].code)
        if after is None:
            path.alive = False
        else:
            path.adopt(after)

    def _shared(
        self, path: Path, node: TableNode, targets: dict[str, str], meet: str, label: Label
    ) -> None:
        """What follows the actions, grouped by where it goes on."""
        groups: dict[str, list[int]] = {}
        for name, target in targets.items():
            groups.setdefault(target, []).append(node.actions[name].spec.index)
        if not node.json.get("default_entry"):
            groups.setdefault(node.base_next or END, []).append(-2)
        branches = []
        for target, indexes in groups.items():
            branch = path.fork()
            self._region(branch, target, meet, label)
            test = f"== {indexes[0]}" if len(indexes) == 1 else f"in {tuple(indexes)}"
            branches.append((f"row[0] {test}:", branch))
        self._chain(path, branches, self._live_at(meet))
