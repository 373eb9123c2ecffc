"""The store's history as other processes read it: a training, a backtest.

Its own connection: SQLite's write-ahead log, and any server, let it read while the controller writes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from controller.observe.recall import SERIES_FIELDS, from_s, to_s
from controller.observe.source import Source, reader
from controller.store.interface import Adapter, Aggregate, Frame, Query, StoreError
from ml.series import Series, connections_series

# In all: a week of 10 routers at 1 s, of 600 at 1 min. Of more the newest, for all routers alike, so that
# a training takes at most 200 MB (four numbers a sample) and no longer the more routers there are.
MOST_SAMPLES = 6_000_000
MEASUREMENT = "samples"
AT_ONCE = 50  # routers in one query: their names must fit into a URL


class PastError(Exception):
    """The history cannot be read; the message names the store and the remedy."""


def read(source: Source, routers: Sequence[str], since_s: float) -> list[Series]:
    """The stored demand of these routers (of all, when none is named) since then.

    Of more than MOST_SAMPLES samples the newest, of all routers over the same time.
    """
    try:
        with reader(source) as store:
            since_ns = from_s(since_s)
            names = list(routers) or sorted(_counts(store, (), since_ns))
            each = MOST_SAMPLES // max(1, len(names))
            for some in _batches(names):
                for name, count in _counts(store, some, since_ns).items():
                    if count > each:
                        since_ns = max(since_ns, _newest(store, name, each))
            found: dict[str, Series] = {}
            for some in _batches(names):
                found |= _series(store, some, since_ns)
            empty = np.empty(0)
            return [
                found.get(name) or connections_series(name, empty, empty, empty, empty)
                for name in names
            ]
    except StoreError as error:
        raise PastError(str(error)) from error


def means(source: Source, routers: Sequence[str], since_s: float, width_s: float) -> list[Series]:
    """The mean demand of these routers in bins of `width_s` (aligned to Unix time), each at the middle
    of its bin: a week in a moment. The bin that is still open is left out.
    """
    if not routers:
        return []
    frames: dict[str, Frame] = {}
    try:
        with reader(source) as store:
            for some in _batches(routers):
                query = Query(
                    MEASUREMENT, from_s(since_s), fields=("demand",), where={"router": some},
                    group_by=("router",), aggregate=Aggregate.MEAN, window_ns=round(width_s * 1e9),
                )  # fmt: skip
                frames |= {frame.tags["router"]: frame for frame in store.query(query)}
    except StoreError as error:
        raise PastError(str(error)) from error
    found = []
    for router in routers:
        times, values = np.empty(0), np.empty(0)
        if router in frames:
            frame = frames[router]
            times = (frame.times_ns[:-1] / 1e9) + 0.5 * width_s
            values = frame.columns["demand"][:-1]
        found.append(Series(router, times, values))
    return found


def _batches(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[at : at + AT_ONCE] for at in range(0, len(names), AT_ONCE)]


def _counts(store: Adapter, routers: Sequence[str], since_ns: int) -> dict[str, int]:
    query = Query(
        MEASUREMENT, since_ns, fields=("demand",), where={"router": routers} if routers else {},
        group_by=("router",), aggregate=Aggregate.COUNT,
    )  # fmt: skip
    found = store.query(query)
    return {frame.tags["router"]: int(frame.columns["demand"][0]) for frame in found}


def _newest(store: Adapter, router: str, number: int) -> int:
    """The time of a router's sample with this many newer ones."""
    found = store.query(
        Query(
            MEASUREMENT, fields=("demand",), where={"router": (router,)}, limit=1,
            newest_first=True, offset=number,
        )
    )  # fmt: skip
    return int(found[0].times_ns[0]) if found else 0


def _series(store: Adapter, routers: Sequence[str], since_ns: int) -> dict[str, Series]:
    query = Query(
        MEASUREMENT, since_ns, fields=SERIES_FIELDS, where={"router": routers}, group_by=("router",)
    )
    found = {}
    for frame in store.query(query):
        router = frame.tags["router"]
        values = [np.asarray(frame.columns[name], dtype=np.float64) for name in SERIES_FIELDS]
        found[router] = connections_series(router, to_s(frame.times_ns), *values)
    return found
