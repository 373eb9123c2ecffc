"""Loads the compiled test programs; p4c is not needed to run the tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from p4switch.pipeline import Pipeline

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture
def load() -> Callable[..., Pipeline]:
    """load("tables") → a fresh Pipeline of programs/tables.json."""

    def load_program(name: str, **options: Any) -> Pipeline:
        return Pipeline((PROGRAMS / f"{name}.json").read_bytes(), **options)

    return load_program


@pytest.fixture
def document() -> Callable[[str], dict[str, Any]]:
    """document("tables") → the JSON of a program, to be changed by the test."""

    def load_document(name: str) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((PROGRAMS / f"{name}.json").read_text())
        return loaded

    return load_document
