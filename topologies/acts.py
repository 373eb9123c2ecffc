"""The demo's acts besides its two runs: each is played once for either, and told on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.status import Status

from topologies import burst_act, failure_act, ramp_act, ramp_report, sun_act
from topologies.bursts import Bursts
from topologies.failure import Failure
from topologies.ramps import RampRun
from topologies.sun import Mode, Sun

Say = Callable[[str], None]
Way = TypeVar("Way")  # in what the runs of an act differ
Found = TypeVar("Found")


def failures(console: Console, kind: str, seed: int, directory: Path) -> dict[str, Failure]:
    """A router is killed, without and with replication."""

    def play(name: str, replication: bool, say: Say) -> Failure:
        path = directory / f"failure-{name}"
        return failure_act.act(kind, path, seed, replication=replication, say=say)

    return _play(
        console,
        failure_act.RUNS,
        lambda replication: f"failure act, {'with' if replication else 'without'} replication",
        play,
        lambda one: (
            f"{one.router} was killed under {one.found.connections} connections, "
            f"{one.found.broken_total} of them broke"
        ),
    )


def bursts(console: Console, kind: str, seed: int, directory: Path) -> dict[str, Bursts]:
    """Instances come in bursts, without and with addresses that are held ahead."""

    def play(name: str, held_ahead: bool, say: Say) -> Bursts:
        path = directory / f"bursts-{name}"
        return burst_act.act(kind, path, seed, held_ahead=held_ahead, say=say)

    return _play(
        console,
        burst_act.RUNS,
        lambda held: f"burst act, {'with' if held else 'without'} addresses held ahead",
        play,
        lambda one: (
            f"{len(one.starts)} instances, {one.warm} with a warm address, "
            f"first answer after {one.answer_ms(50):.1f} ms (median)"
        ),
    )


def suns(console: Console, kind: str, seed: int, directory: Path) -> dict[str, Sun]:
    """Demand follows the sun over two sites, with reactive and with predictive redirects."""

    def play(name: str, mode: Mode, say: Say) -> Sun:
        return sun_act.act(kind, directory / f"sun-{name}", seed, mode=mode, say=say)

    return _play(
        console,
        sun_act.RUNS,
        lambda mode: f"sun act, {mode.value} redirects",
        play,
        lambda one: (
            f"{one.nearest_pct:.1f} % of {len(one.answered)} calls answered at the nearest site, "
            f"connected after {one.mean_connect_ms():.1f} ms (mean)"
        ),
    )


def ramps(console: Console, kind: str, seed: int, directory: Path) -> dict[str, RampRun]:
    """More comes than a router can treat; without a shadow, and with one that follows the forecast."""

    def play(name: str, way: str, say: Say) -> RampRun:
        return ramp_act.act(kind, directory / f"ramp-{name}", seed, way=way, say=say)

    return _play(
        console,
        ramp_act.RUNS,
        lambda way: f"ramp act, {ramp_report.WORDS[way]}",
        play,
        lambda one: (
            f"99 % of {len(one.attempts)} connections within {one.connect_ms(99):.0f} ms, "
            f"{one.refused_per_1000:.1f} of 1000 not served"
        ),
    )


def _play(
    console: Console,
    runs: Iterable[tuple[str, Way]],
    title: Callable[[Way], str],
    play: Callable[[str, Way, Say], Found],
    told: Callable[[Found], str],
) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for name, way in runs:
        words = title(way)
        with console.status(words) as shown:

            def say(text: str, words: str = words, shown: Status = shown) -> None:
                shown.update(f"{words}: {text}")

            found[name] = play(name, way, say)
        console.print(f"{words}: {told(found[name])}", highlight=False, soft_wrap=True)
    return found
