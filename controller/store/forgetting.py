"""Measurements that are kept shorter than their bucket on a server: the controller deletes what is too old there."""

from __future__ import annotations

from collections.abc import Mapping

from controller.store.influx import InfluxAdapter
from controller.store.interface import UnsupportedError

EVERY_S = 600.0


class Forgetting:
    """own_s: measurement → seconds that it is kept."""

    def __init__(self, own_s: Mapping[str, float]) -> None:
        self._own_s = dict(own_s)
        self._next_s = 0.0

    def step(self, adapter: InfluxAdapter, now_s: float) -> bool:
        """Delete, if it is time; whether it was. A server that cannot keeps them as long as the bucket
        (`umbra store init` says so).

        Raises StoreError; it is tried again when it is time again.
        """
        if not self._own_s or now_s < self._next_s:
            return False
        self._next_s = now_s + EVERY_S
        try:
            for name, kept_s in self._own_s.items():
                if kept_s and name in adapter.schema:
                    adapter.forget(name, round((now_s - kept_s) * 1e9))
        except UnsupportedError:
            self._own_s.clear()
        return True
