"""Benchmarks: each measures the real thing, and its peers in the same run on the same work."""

from topologies.bench.result import Figure, Result
from topologies.bench.runner import BENCHES, prepare, run

__all__ = ["BENCHES", "Figure", "Result", "prepare", "run"]
