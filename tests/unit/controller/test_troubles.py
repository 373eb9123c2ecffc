"""Troubles: what went wrong, until it no longer does."""

from __future__ import annotations

import asyncio

import pytest

from controller.trouble import Troubles


def test_a_part_that_fails_is_a_trouble_until_it_goes_well() -> None:
    troubles = Troubles()
    with troubles.within("plan"):
        raise ValueError("no edge")
    assert troubles.open == {"plan": "ValueError: no edge"}
    with troubles.within("plan"):
        pass
    assert troubles.open == {}
    assert troubles.counts == {"plan": 1}


def test_a_part_that_is_cancelled_is_no_trouble_and_ends() -> None:
    troubles = Troubles()
    with pytest.raises(asyncio.CancelledError), troubles.within("plan"):
        raise asyncio.CancelledError
    assert troubles.open == {}
