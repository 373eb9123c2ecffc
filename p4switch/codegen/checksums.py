"""Checksums: verified after the parser, updated before the deparser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from p4switch.codegen import expressions as ex
from p4switch.codegen import hashing
from p4switch.codegen.code import Path
from p4switch.codegen.context import Context
from p4switch.codegen.control import Control
from p4switch.codegen.expressions import Ex
from p4switch.codegen.primitives import conditional
from p4switch.codegen.usage import STD

Json = Any


class Checksums:
    """Emits the checksums of a program."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        checksums = ctx.program.checksums
        self.updates = [c for c in checksums if c.get("update", True)]
        self.verifies = [c for c in checksums if c.get("verify", True)]

    def reads(self, checksum: Json) -> set[str]:
        """Variables that verifying or updating it reads."""
        usage = self.ctx.usage
        calculation = self.ctx.program.calculations[checksum["calculation"]]
        reads = usage.inputs(list(calculation.inputs)) | {"$pos"}
        reads |= {f"{h}.{f}" for h, f in usage.fields_in(checksum.get("if_cond"))}
        header, name = checksum["target"]
        return reads | {f"{header}.$valid$", f"{header}.{name}"}

    def verify(self, path: Path, control: Control, checksum: Json) -> None:
        """Set checksum_error when a valid header's checksum is wrong."""
        header, name = checksum["target"]

        def body(inside: Path) -> None:
            control.refine(inside, checksum.get("if_cond"), True)
            inside.known[f"{header}.$valid$"] = 1
            value = self._calculate(inside, checksum)
            stored = self.ctx.unsigned(inside, header, name)
            wrong = ex.compare("!=", value, stored)
            mark = f"{STD}.checksum_error"
            conditional(self.ctx, inside, wrong.code, lambda p: p.known.update({mark: 1}))

        valid = self.ctx.get(path, header, "$valid$")
        condition = self.ctx.evaluate(path, checksum.get("if_cond"), [])
        self._guarded(path, ex.logical("and", valid, condition), body)

    def update(self, path: Path, control: Control, checksum: Json) -> None:
        """Compute a checksum into its field."""
        header, name = checksum["target"]

        def body(inside: Path) -> None:
            control.refine(inside, checksum.get("if_cond"), True)
            value = self._calculate(inside, checksum)
            self.ctx.set(inside, f"{header}.{name}", self.ctx.fit(header, name, value))

        condition = self.ctx.evaluate(path, checksum.get("if_cond"), [])
        valid = self.ctx.get(path, header, "$valid$")
        if valid.const == 0:
            return  # the field is not sent
        self._guarded(path, condition, body)

    def _guarded(self, path: Path, condition: Ex, body: Callable[[Path], None]) -> None:
        if condition.const is None:
            conditional(self.ctx, path, condition.code, body)
        elif condition.const:
            body(path)

    def _calculate(self, path: Path, checksum: Json) -> Ex:
        calculation = self.ctx.program.calculations[checksum["calculation"]]
        return hashing.compute(self.ctx, path, calculation.algo, calculation.inputs)
