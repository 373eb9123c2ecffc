"""`umbra audit`: whether the audit log is what was written, its head, and what it has to teach. Offline."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.audit import anchors, examples, verify
from controller.audit.verify import Report
from controller.commands.console import JsonOption, err, fail, out, print_json

audit = typer.Typer(
    help="Check the audit log offline, print its head, read what it has to teach: verify, head, examples.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
DEFAULT = Path("umbra-audit.jsonl")
FilesArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[FILE]...",
        help=f"the log, with all its parts, or single parts; default {DEFAULT}",
        show_default=False,
    ),
]
AnchorOption = Annotated[
    list[str] | None,
    typer.Option(
        "--anchor", metavar="FILE|N:HASH", help="a hash kept elsewhere, or a file of them (repeat)"
    ),
]


@audit.command(
    name="verify", epilog="Example: umbra audit verify umbra-audit.jsonl --anchor anchors.jsonl"
)
def verify_log(
    files: FilesArgument = None, anchor: AnchorOption = None, as_json: JsonOption = False
) -> None:
    """Check every line, the chain over all parts, and anchors.

    Exit code 0: nothing was changed; 1: something was; 2: it cannot be read; 3: what is here is
    unchanged, but the log's beginning is not here.
    """
    report = _verified(files, anchor or [])
    if as_json:
        print_json(_as_json(report))
    else:
        _print(report)
    if not report.sound:
        raise typer.Exit(1)
    if not report.complete:
        raise typer.Exit(3)


@audit.command(epilog="Example: umbra audit head --json | ssh elsewhere 'cat >> anchors.jsonl'")
def head(files: FilesArgument = None, as_json: JsonOption = False) -> None:
    """Check the log and print its newest line's number and hash: keep it elsewhere, as an anchor.

    Exit codes as of verify; a log that was changed has no head.
    """
    report = _verified(files, [])
    if not report.sound:
        fail(f"{report.faults[0]}; umbra audit verify tells more", 1)
    if not report.lines:
        fail(f"{', '.join(report.files)}: holds no line", 2)
    if as_json:
        # One line: it can be appended to a file of anchors.
        taken = anchors.Anchor(report.head.sequence, report.head.hash, report.chain)
        sys.stdout.write(json.dumps(asdict(taken), sort_keys=True) + "\n")
    else:
        out().print(f"{report.head.sequence}:{report.head.hash}", soft_wrap=True)
    if not report.complete:
        raise typer.Exit(3)


@audit.command(
    name="examples", epilog="Example: umbra audit examples --subject allocation > day.jsonl"
)
def print_examples(
    files: FilesArgument = None,
    subject: Annotated[
        list[str] | None,
        typer.Option("--subject", metavar="NAME", help="only these, as decision (repeat)"),
    ] = None,
) -> None:
    """Print every decision with its inputs and what came of it, one JSON object per line.

    Exit code 1: a line was changed (what was printed before it is sound); 2: the log cannot be read.
    """
    try:
        for one in examples.examples(_given(files), subject or None):
            sys.stdout.write(json.dumps(one.to_json(), ensure_ascii=False) + "\n")
    except examples.UnsoundError as error:
        fail(f"{error}; umbra audit verify tells more", 1)
    except OSError as error:
        fail(_unreadable(error), 2)


def _given(files: list[Path] | None) -> list[Path]:
    return files or [DEFAULT]


def _verified(files: list[Path] | None, given: list[str]) -> Report:
    try:
        return verify.verify(_given(files), [one for text in given for one in anchors.given(text)])
    except anchors.AnchorError as error:
        fail(str(error), 2)
    except OSError as error:
        fail(_unreadable(error), 2)


def _unreadable(error: OSError) -> str:
    return f"{error.filename} cannot be read ({error.strerror}); name the audit log (audit: path)"


def _as_json(report: Report) -> dict[str, Any]:
    return {
        "sound": report.sound,
        "complete": report.complete,
        "files": report.files,
        "chain": report.chain,
        "lines": report.lines,
        "first": report.first,
        "head": {"sequence": report.head.sequence, "hash": report.head.hash},
        "anchors_met": report.anchors_met,
        "fault_count": report.fault_count,
        "faults": [{**asdict(one.place), "what": one.what} for one in report.faults],
        "notes": [{**asdict(one.place), "what": one.what} for one in report.notes],
    }


def _print(report: Report) -> None:
    console = out()
    for note in report.notes:
        console.print(str(note), soft_wrap=True)
    told = err()
    for fault in report.faults:
        told.print(str(fault), style="red")
    if report.fault_count > len(report.faults):
        told.print(f"and {report.fault_count - len(report.faults)} more", style="red")
    state = "unchanged" if report.sound else f"{report.fault_count} faults"
    met = f", {report.anchors_met} anchors met" if report.anchors_met else ""
    where = f"{len(report.files)} files" if len(report.files) != 1 else report.files[0]
    console.print(
        f"{where}: {report.lines} lines, {state}{met}; head {report.head.sequence}:{report.head.hash}",
        soft_wrap=True,
    )
