"""All tests run in a private network of their own when they run as root: their traffic can go nowhere else."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from topologies import namespace

# How long an example takes says something of the machine and of what else it does, nothing of the code.
settings.register_profile("untimed", deadline=None)


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("untimed")
    # Before any test starts a thread: threads stay in the network in which they were started.
    if os.geteuid() == 0:
        namespace.enter()


def pytest_report_header(config: pytest.Config) -> str:
    if os.geteuid() == 0:
        return "network: a private namespace"
    return "network: the host's (not root: tests of the fabric are skipped)"
