"""The functions of a pipeline: the first pass of a packet, passes after it, and copies in egress."""

from __future__ import annotations

from p4switch.codegen import expressions as ex
from p4switch.codegen.checksums import Checksums
from p4switch.codegen.code import Code, Path, join
from p4switch.codegen.context import Context
from p4switch.codegen.control import Control
from p4switch.codegen.copies import EGRESS_CLONE, NORMAL, RECIRCULATED, RESUBMITTED, Copies
from p4switch.codegen.deparser import Deparser
from p4switch.codegen.expressions import Ex
from p4switch.codegen.parser import ParserCode
from p4switch.codegen.usage import STD

# what egress sets before the program sees it
SET_AT_EGRESS = (
    *("egress_port", "egress_spec", "egress_rid", "instance_type", "packet_length"),
    *("enq_timestamp", "enq_qdepth", "deq_timedelta", "deq_qdepth", "egress_global_timestamp"),
)
FLAGS = ("$clone", "$clone_list", "$digest", "$resubmit", "$recirculate", "$truncate", "$grown")


class Functions(Copies):
    """Generates the source of one program."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        program = ctx.program
        self.pends = bool(self.clones_e2e or self.resubmits or self.recirculates)
        self.parser = ParserCode(ctx, "return")
        self.deparser = Deparser(ctx, self.parser.tail_headers)
        self.checksums = Checksums(ctx)
        self.stop = ""
        self.base = "n"
        self.all_vars = [v for h in program.headers for v in ctx.usage.header_vars(h)]
        for h in program.headers:
            if not program.headers[h].is_metadata:
                self.all_vars.append(f"{h}.$off")
        listed = {f"{h}.{f}" for fields in program.field_lists.values() for h, f in fields}
        self.egress_end = self.deparser.live() | listed | set(FLAGS) | {f"{STD}.egress_spec"}
        self.egress_end |= ctx.usage.counted
        for checksum in self.checksums.updates:
            self.egress_end |= self.checksums.reads(checksum)
        egress = Control(ctx, program.pipelines["egress"], "", self.egress_end)
        overwritten = {f"{STD}.{f}" for f in SET_AT_EGRESS}
        self.egress_in = egress.live_in | self.egress_end
        digested = {
            f"{h}.{f}"
            for d in program.digests.values()
            for h, f in ctx.usage.fields_in(list(d.elements))
        }
        self.ingress_end = (self.egress_in - overwritten) | digested | listed | set(FLAGS)
        self.ingress_end |= {f"{STD}.{f}" for f in ("egress_spec", "mcast_grp", "priority")}
        self.ingress_end.add(f"{STD}.egress_rid")
        metadata = {v for v, h in ctx.usage.owner.items() if program.headers[h].is_metadata}
        self.meta_vars = sorted((self.egress_in & metadata) - overwritten)
        locals_ = {*self.all_vars, "$tail", "$pos", *ctx.usage.counted}
        self.header_vars = sorted((self.egress_in & locals_) - metadata)

    # assembly

    def source(self) -> str:
        """All functions; `first` takes a packet, `process` runs it to completion."""
        parts = [self._pass("first", NORMAL, None)]
        parts += [self._pass(f"recirculated_{i}", RECIRCULATED, i) for i in self.recirculates]
        parts += [self._pass(f"resubmitted_{i}", RESUBMITTED, i) for i in self.resubmits]
        if self.clones_i2e:
            parts.append(self._parse_only())
        if self.clones_i2e or self.clones_e2e or self.multicasts:
            parts.append(self._egress_copy())
        return "\n\n\n".join("\n".join(code.render()) for code in parts) + "\n"

    def _start(self, name: str, arguments: list[str], doc: str) -> tuple[Code, Path]:
        """A new function. Locals that are read before they are written are parameters with a
        default: the quickest way to have them all zero."""
        code = Code()
        variables = (*self.all_vars, *FLAGS, "$tail", "$pos", *self.ctx.usage.counted)
        zero = dict.fromkeys(variables, 0)
        top = Path(code, zero, dict(zero), {})
        self.ctx.names.defaulted = set()
        body = top.open(f"def {name}({', '.join(arguments)}")
        body.line(f'"""{doc}"""')
        return code, body

    def _finish(self, code: Code) -> Code:
        """Complete the signature with the locals that must be zero at entry."""
        names = self.ctx.names
        defaults = [f"{names[v]}={names.constant(v, 0)}" for v in sorted(names.defaulted)]
        head = str(code.items[0])
        lines = [head + ("," if defaults else "):")]
        for start in range(0, len(defaults), 5):
            lines.append("    " + ", ".join(defaults[start : start + 5]) + ",")
        if defaults:
            lines.append("):")
        code.items[:1] = lines
        return code

    def _pass(self, name: str, instance: int, list_id: int | None) -> Code:
        ctx = self.ctx
        fields = ctx.program.field_lists.get(list_id, ()) if list_id is not None else ()
        if list_id is None:
            port = ctx.names[f"{STD}.ingress_port"]
            arguments = ["data", port, "now_us"]
            doc = "A packet from a port: [(egress port, packet)]."
            self.stop = "return out or []" if self._copies() else "return []"
        else:
            preserved = [ctx.names[f"{h}.{f}"] for h, f in fields]
            arguments = ["data", "now_us", *preserved, "out"]
            doc = "A packet that comes back: appends (egress port, packet) to out."
            self.stop = "return"
        code, path = self._start(name, arguments, doc)
        path.line("n = len(data)")
        path.known[f"{STD}.instance_type"] = instance
        if list_id is None:
            path.assigned(f"{STD}.ingress_port")
            if self._copies():
                path.line("out = None")
        for h, f in fields:
            path.assigned(f"{h}.{f}")
        ingress = self._control("ingress", self.ingress_end)
        wanted = ingress.live_in | self._parser_reads()
        if f"{STD}.packet_length" in wanted:
            ctx.set(path, f"{STD}.packet_length", ex.local("n", 0, 1 << 32))
        if f"{STD}.ingress_global_timestamp" in wanted | self.ingress_end and list_id is None:
            self._stamp(path, "ingress_global_timestamp")
        checks = f"{STD}.checksum_error" in wanted
        self.parser = ParserCode(ctx, self.stop)
        self.parser.live_after = ingress.live_in | self.ingress_end
        if checks:
            for checksum in self.checksums.verifies:
                self.parser.live_after |= self.checksums.reads(checksum)
        self.parser.emit(path)
        if checks:
            for checksum in self.checksums.verifies:
                self.checksums.verify(path, ingress, checksum)
        self._run(path, ingress, "ingress")
        if path.alive:
            self._after_ingress(path, list_id is None)
        return self._finish(code)

    def _stamp(self, path: Path, name: str) -> None:
        self.ctx.set(path, f"{STD}.{name}", ex.local("now_us", 0, (1 << 48) - 1))

    def _parser_reads(self) -> set[str]:
        usage = self.ctx.usage
        reads: set[str] = set()
        for state in self.ctx.program.parse_states.values():
            for node in (state["transition_key"], state["parser_ops"]):
                reads |= {f"{h}.{f}" for h, f in usage.fields_in(node)}
        return reads

    def _control(self, name: str, live: set[str]) -> Control:
        return Control(self.ctx, self.ctx.program.pipelines[name], self.stop, live)

    def _run(self, path: Path, control: Control, name: str) -> None:
        """Emit a pipeline; where the program uses exit, inside a loop that exit leaves."""
        path.line(f"# {name}")
        if not control.exits:
            control.emit(path)
            return
        body = path.open(f"while True:  # {name}")
        label = control.emit(body)
        if body.alive:
            label.jump(body)
        after = join(label.waiting, self.ctx.names, control.live_at_end)
        if after is None:
            path.alive = False
        else:
            path.adopt(after)

    # between the pipelines

    def _after_ingress(self, path: Path, first: bool) -> None:
        path.line("# after ingress: clone, digest, resubmit, multicast, drop")
        self._clone_i2e(path, first)
        self._digest(path)
        for list_id, arm in self._arms(path, "$resubmit", self.resubmits):
            self._pend(arm, f"resubmitted_{list_id}", ["data", "now_us"], list_id)
            arm.end(self.stop)
        if not path.alive:
            return
        self._multicast(path, first)
        if not path.alive:
            return
        spec = self.ctx.get(path, STD, "egress_spec")
        self._drop_if(path, ex.compare("==", spec, ex.constant(self.ctx.drop_port)))
        if not path.alive:
            return
        priority = self._priority(path)
        if priority.const != 0:
            # one queue per port: BMv2 drops any other priority
            inside = path.open(f"if {priority.code}:")
            inside.line(f"{self._stats()}['priority out of range'] += 1")
            inside.line(self.stop)
        self.base = "n"
        port = ex.local(self.ctx.names[f"{STD}.egress_spec"], 0, 511)
        self.ctx.set(path, f"{STD}.egress_port", spec if spec.const is not None else port)
        path.known[f"{STD}.instance_type"] = NORMAL
        self._egress(path, first)

    def _priority(self, path: Path) -> Ex:
        if self.ctx.program.has_field(STD, "priority"):
            return self.ctx.get(path, STD, "priority")
        return ex.FALSE

    def _stats(self) -> str:
        return self.ctx.bind("stats", "", self.ctx.space["drops"])

    def _drop_if(self, path: Path, condition: Ex) -> None:
        if condition.const is None:
            path.open(f"if {condition.code}:  # drop").line(self.stop)
        elif condition.const:
            path.end(self.stop)

    # egress

    def _egress(self, path: Path, first: bool) -> None:
        ctx = self.ctx
        egress = self._control("egress", self.egress_end)
        wanted = self.egress_in
        spec = ctx.program.field_of(STD, "egress_spec")
        path.known[f"{STD}.egress_spec"] = (ctx.drop_port + 1) & ((1 << spec.width) - 1)
        if f"{STD}.packet_length" in wanted:
            length = ex.wrap(Ex(self._length(path, self.base), 0, 1 << 33), 32)
            ctx.set(path, f"{STD}.packet_length", length)
        for name in ("enq_timestamp", "egress_global_timestamp"):
            if f"{STD}.{name}" in wanted:
                bits = 32 if name == "enq_timestamp" else 48
                ctx.set(path, f"{STD}.{name}", ex.wrap(ex.local("now_us", 0, 1 << 48), bits))
        for name in ("enq_qdepth", "deq_timedelta", "deq_qdepth"):
            path.known[f"{STD}.{name}"] = 0
        self._run(path, egress, "egress")
        if path.alive:
            self._after_egress(path, egress, first)

    def _after_egress(self, path: Path, egress: Control, first: bool) -> None:
        ctx = self.ctx
        flag = ctx.pseudo(path, "$clone")
        if self.clones_e2e and flag.const != 0:
            inside = path if flag.const is not None else path.open(f"if {flag.p}:")
            self._session(inside, flag)
            inside = inside.open("if session is not None:")
            self._fields_by_list(inside, self.clones_e2e)
            values = self._tuple([self._value(inside, v) for v in self.header_vars])
            inside.line(f"headers = {values}")
            loop = inside.open("for replica in session.replicas:")
            rest = f"{EGRESS_CLONE}, {self._length(path, self.base)}, cut, headers, fields"
            call = f"(data, now_us, replica.port, replica.instance, {rest})"
            loop.line(f"pending.append((egress_copy, {call}))")
        spec = ctx.get(path, STD, "egress_spec")
        self._drop_if(path, ex.compare("==", spec, ex.constant(ctx.drop_port)))
        if not path.alive:
            return
        path.line("# deparser")
        for checksum in self.checksums.updates:
            self.checksums.update(path, egress, checksum)
        for list_id, arm in self._arms(path, "$recirculate", self.recirculates):
            whole = Path(arm.code, {**arm.known, "$truncate": 0}, arm.held, arm.ranges)
            arm.line(f"packet = {self.deparser.emit(whole)}")
            self._pend(arm, f"recirculated_{list_id}", ["packet", "now_us"], list_id)
            arm.end(self.stop)
        if not path.alive:
            return
        packet = self.deparser.emit(path)
        port = self._value(path, f"{STD}.egress_port")
        if not first:
            path.end(f"out.append(({port}, {packet}))")
        elif self._copies():
            path.line(f"packet = {packet}")
            path.line("if out is None:")
            path.line(f"    return [({port}, packet)]")
            path.line(f"out.append(({port}, packet))")
            path.end("return out")
        else:
            path.end(f"return [({port}, {packet})]")

    def _parse_only(self) -> Code:
        """What an ingress clone carries: the packet parsed again as it arrived."""
        port = self.ctx.names[f"{STD}.ingress_port"]
        doc = "The headers of a packet as it arrived."
        code, path = self._start("parse", ["data", port], doc)
        path.line("n = len(data)")
        path.assigned(f"{STD}.ingress_port")
        zeros = [self._value(path, v) for v in self.header_vars]
        self.parser = ParserCode(self.ctx, f"return {self._tuple(zeros)}")
        self.parser.live_after = set(self.header_vars)
        self.parser.emit(path)
        path.end(f"return {self._tuple([self._value(path, v) for v in self.header_vars])}")
        return self._finish(code)

    def _egress_copy(self) -> Code:
        """Egress for a clone or a replica, from values instead of locals."""
        names = self.ctx.names
        std = [names[f"{STD}.{f}"] for f in ("egress_port", "egress_rid", "instance_type")]
        arguments = ["data", "now_us", *std, "length", "cut", "headers", "fields", "out"]
        doc = "A clone or replica: appends (egress port, packet) to out."
        code, path = self._start("egress_copy", arguments, doc)
        self.stop = "return"
        path.line("n = len(data)")
        path.line(f"{names['$truncate']} = cut")
        path.assigned("$truncate")
        for tuple_, variables in (("headers", self.header_vars), ("fields", self.meta_vars)):
            if variables:
                path.line(f"{self._tuple([names[v] for v in variables])[1:-1]} = {tuple_}")
            for v in variables:
                path.assigned(v)
        for f in ("egress_port", "egress_rid", "instance_type"):
            path.assigned(f"{STD}.{f}")
        self.base = "length"
        self._egress(path, False)
        return self._finish(code)
