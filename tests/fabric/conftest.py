"""One fixture runs the same tests on the embedded switch and, where it is installed, on BMv2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.programmed import Make, Programmed, programmed
from topologies.single import unavailable
from topologies.switches import KINDS


@pytest.fixture(params=KINDS, scope="module")
def kind(request: pytest.FixtureRequest) -> str:
    """The switch under test: "embedded" or "bmv2"."""
    reason = unavailable(request.param)
    if reason:
        pytest.skip(reason)
    return str(request.param)


@pytest.fixture
def make(kind: str, tmp_path: Path) -> Make:
    """`make(node)`: a real switch that is this node of the small fabric."""
    return lambda node, **options: programmed(kind, node, tmp_path, **options)


@pytest.fixture
def edge(make: Make) -> Iterator[Programmed]:
    """The edge e1."""
    with make("e1") as node:
        yield node


@pytest.fixture
def router(make: Make) -> Iterator[Programmed]:
    """The service router r1, of capacity 5."""
    with make("r1") as node:
        yield node


@pytest.fixture(scope="module")
def spine(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programmed]:
    """The spine s1: one for all tests of a module, for it remembers nothing of what it forwards."""
    with programmed(kind, "s1", tmp_path_factory.mktemp("spine")) as node:
        yield node
