"""The allocation API: never below what is in use, read back, counted, and told when it cannot be done."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.resources.cgroup_trees import populate, v1, v2

from controller.act.resources import AllocationError, Allocator, Mounts, Place
from controller.act.resources.allocator import least_bytes
from controller.act.resources.group import PAGE_BYTES
from controller.model.resources import NO_LIMIT, NOTHING, Amounts, Resource

MIB = 1 << 20
PATH = "umbra/run/r1"
TREES = {"v1": v1, "v2": v2}


@pytest.fixture(params=sorted(TREES))
def mounts(request: pytest.FixtureRequest, tmp_path: Path) -> Mounts:
    """Mounts of one version, with the group of r1."""
    made = TREES[request.param](tmp_path)
    populate(made, PATH)
    return made


@pytest.fixture
def allocator(mounts: Mounts) -> Allocator:
    """Of r1, which has a group, and r2, which has nothing."""
    return Allocator({"r1": Place(PATH), "r2": Place()}, mounts=mounts)


def holds(mounts: Mounts, memory_bytes: int) -> None:
    """So much memory is in use."""
    for name in ("memory.usage_in_bytes", "memory.current"):
        file = mounts.memory / PATH / name
        if file.exists():
            file.write_text(f"{memory_bytes}\n")


def test_what_is_set_is_in_force_and_told(allocator: Allocator) -> None:
    applied = allocator.set("r1", Amounts(0.5, 64 * MIB, math.inf), NOTHING)
    assert applied.given == Amounts(0.5, 64 * MIB, math.inf)
    assert applied.held == ()
    assert allocator.read("r1") == applied.given


def test_cpu_in_use_is_not_taken_away(allocator: Allocator) -> None:
    applied = allocator.set("r1", Amounts(0.2, 64 * MIB, 0.0), Amounts(cpu_cores=0.7))
    assert applied.given.cpu_cores == pytest.approx(0.7)
    assert applied.held == (Resource.CPU,)


def test_memory_that_the_kernel_says_is_in_use_is_not_taken_away(
    allocator: Allocator, mounts: Mounts
) -> None:
    holds(mounts, 40 * MIB)
    applied = allocator.set("r1", Amounts(1.0, 8 * MIB, math.inf), NOTHING)
    assert applied.given.memory_bytes == pytest.approx(least_bytes(40 * MIB), abs=PAGE_BYTES)
    assert applied.held == (Resource.MEMORY,)


def test_a_limit_that_is_set_again_and_again_does_not_grow_with_what_it_limits(
    allocator: Allocator, mounts: Mounts
) -> None:
    asked = Amounts(1.0, 64 * MIB, math.inf)
    allocator.set("r1", asked, NOTHING)
    holds(mounts, 63 * MIB)
    assert allocator.set("r1", asked, NOTHING).given.memory_bytes == 64 * MIB
    holds(mounts, 40 * MIB)
    lowered = allocator.set("r1", Amounts(1.0, 8 * MIB, math.inf), NOTHING).given.memory_bytes
    assert lowered == pytest.approx(least_bytes(40 * MIB), abs=PAGE_BYTES)
    holds(mounts, 42 * MIB)
    again = allocator.set("r1", Amounts(1.0, 8 * MIB, math.inf), NOTHING)
    assert again.given.memory_bytes == lowered
    holds(mounts, 2 * MIB)
    assert allocator.set("r1", Amounts(1.0, 8 * MIB, math.inf), NOTHING).held == ()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    asked=st.tuples(st.floats(0, 64), st.floats(0, 2**40)),
    used=st.tuples(st.floats(0, 64), st.integers(0, 2**40)),
)
def test_nobody_ever_gets_less_than_is_in_use_or_asked(
    allocator: Allocator,
    mounts: Mounts,
    asked: tuple[float, float],
    used: tuple[float, int],
) -> None:
    holds(mounts, used[1])
    given_ = allocator.set("r1", Amounts(*asked), Amounts(used[0])).given
    assert given_.cpu_cores >= max(asked[0], used[0]) * 0.99
    assert given_.memory_bytes >= max(asked[1], used[1])
    assert given_.memory_bytes <= max(asked[1], least_bytes(used[1])) + PAGE_BYTES


def test_what_holds_already_is_not_written_again(
    allocator: Allocator, mounts: Mounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    amounts = Amounts(0.05, 64 * MIB + 1, math.inf)
    allocator.set("r1", amounts, NOTHING)

    def refuse(path: Path, text: str, *, remedy: str = "") -> None:
        raise AssertionError(f"{text!r} was written to {path}")

    monkeypatch.setattr("controller.act.resources.files.write", refuse)
    assert allocator.set("r1", amounts, NOTHING).given == allocator.read("r1")
    with pytest.raises(AssertionError, match="was written"):
        allocator.set("r1", Amounts(0.06, 64 * MIB, math.inf), NOTHING)


def test_a_device_without_group_and_ports_is_not_limited(allocator: Allocator) -> None:
    assert allocator.set("r2", Amounts(1.0, MIB, 1e6), NOTHING).given == NO_LIMIT
    assert allocator.read("r2") == NO_LIMIT


def test_an_unknown_device_is_a_key_error(allocator: Allocator) -> None:
    with pytest.raises(KeyError):
        allocator.set("r9", NOTHING, NOTHING)


@pytest.mark.parametrize("amount", [-1.0, math.nan])
def test_what_is_no_amount_is_refused_before_anything_is_written(
    allocator: Allocator, amount: float
) -> None:
    with pytest.raises(ValueError, match=r"r1: .* is no amount"):
        allocator.set("r1", Amounts(1.0, MIB, amount), NOTHING)
    assert allocator.read("r1") == NO_LIMIT


def test_a_device_that_cannot_be_read_does_not_hide_the_others(mounts: Mounts) -> None:
    places = {
        "r1": Place(PATH),
        "r2": Place(),
        "r3": Place("umbra/run/r3"),
        "r4": Place(ports=("um-none-1",)),
    }
    found, failed = Allocator(places, mounts=mounts).all_totals()
    assert [one.device for one in found] == ["r1", "r2"]
    assert "there is no such group" in failed["r3"]
    assert "um-none-1 of r4 does not exist in this network namespace" in failed["r4"]


def test_totals_are_the_kernels(allocator: Allocator, mounts: Mounts) -> None:
    holds(mounts, 3 * MIB)
    found = allocator.totals("r1")
    assert (found.device, found.cpu_s, found.memory_bytes) == ("r1", 0.0, 3 * MIB)


def test_bytes_of_ports_are_counted(mounts: Mounts) -> None:
    with Allocator({"r1": Place(PATH, ("lo",))}, mounts=mounts) as allocator:
        found = allocator.totals("r1")
    assert found.sent_bytes == found.received_bytes  # of loopback


def test_limits_are_lifted_and_what_is_gone_has_none(mounts: Mounts) -> None:
    places = {"r1": Place(PATH, ("um-none-1",)), "r3": Place("umbra/run/r3")}
    Allocator({"r1": Place(PATH)}, mounts=mounts).set("r1", Amounts(0.5, 64 * MIB, 1e6), NOTHING)
    allocator = Allocator(places, mounts=mounts)
    allocator.lift("r1")
    allocator.lift("r3")
    assert Allocator({"r1": Place(PATH)}, mounts=mounts).read("r1") == NO_LIMIT


@pytest.mark.parametrize("path", ["/umbra", "../r1", "umbra//r1", "umbra/./r1"])
def test_a_group_outside_the_mount_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="write a relative path"):
        Place(path)


def test_without_tc_the_remedy_is_told(mounts: Mounts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    allocator = Allocator({"r1": Place(PATH, ("lo",))}, mounts=mounts)
    with pytest.raises(AllocationError, match="install iproute2"):
        allocator.read("r1")
