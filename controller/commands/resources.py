"""Commands about devices' resources: state, decisions, a check of the policies, replay of a recorded day."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from controller.commands import resource_tables
from controller.commands.configured import configured
from controller.commands.console import (
    API_DEFAULT,
    ApiOption,
    JsonOption,
    TokenOption,
    daemon,
    err,
    fail,
    get,
    out,
    overview,
    print_json,
    show,
)
from controller.plan.resources.rules import policy_of

resources = typer.Typer(invoke_without_command=True, pretty_exceptions_enable=False)


overview(
    resources,
    "resources",
    resource_tables.resources,
    "Show devices, what they use and will use, their shadows with what they were given, and the pre-warming queue.",
)


@resources.command(epilog="Example: umbra resources decisions --device r1 --limit 5")
def decisions(
    device: Annotated[str | None, typer.Option(metavar="NAME", help="only of this device")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="at most so many")] = 20,
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what was decided for devices, newest first, and why."""
    found = get(daemon(api, token_file), "resources/decisions", device=device, limit=limit)
    show(found, as_json, resource_tables.decisions)


@resources.command(epilog="Example: umbra resources check umbra.yaml")
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="the configuration")],
) -> None:
    """Check the configuration with its scaling policies, offline. Exit code 1 names file, line and key."""
    section = configured(file).resources
    if section is None:
        fail(f"{file} has no section resources: add one (docs/resource-shadowing.md)", 1)
    policies = section.planned()
    for policy in policies:
        own = [one.name for one in section.devices if policy_of(one.name, policies) is policy]
        out().print(f"policy {policy.name} ({policy.mode.value}): {', '.join(own) or 'no device'}")


@resources.command(
    epilog="Example: umbra resources replay umbra-resources/resources-2026-07-01.jsonl"
)
def replay(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="recorded days, the oldest first")
    ],
    as_json: JsonOption = False,
) -> None:
    """Decide recorded cycles again and compare, offline. Exit code 1: a decision differs; 2: it cannot be read."""
    from controller.resources import day  # brings the planner: other commands need not pay for it

    try:
        found = day.check(files)
    except OSError as error:
        fail(
            f"{error.filename} cannot be read ({error.strerror}); name a file of resources.record",
            2,
        )
    except ValueError as error:
        fail(f"{error}; record it again", 2)
    if as_json:
        print_json(asdict(found))
    elif found.differing:
        shown = ", ".join(map(str, found.differing[:10]))
        err().print(f"umbra: cycles {shown} were decided otherwise", style="red")
    else:
        out().print(
            f"{found.cycles} cycles, {found.decisions} decisions, all the same: {found.digest}",
            soft_wrap=True,
        )
    if found.differing:
        raise typer.Exit(1)
