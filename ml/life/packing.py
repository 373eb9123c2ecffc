"""A trained model as a plain tree, and back: dictionaries, lists, numbers, arrays, estimators.

Of our own types only those in `KNOWN` are packed, each as its fields by name, so that a file holds
no reference to our code and reading one runs none of it but these constructors.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from ml.breaches.alarm import AlarmRule
from ml.breaches.crossing import CrossingModel
from ml.breaches.recalibration import Recalibration
from ml.breaches.warner import Warner, WarnerReport
from ml.calendars.events import PlannedEvent
from ml.forecasting.boosting import FitReport, TrainedModel
from ml.forecasting.forest import Forest
from ml.forecasting.network import Network
from ml.forecasting.online import Priors
from ml.life.drift import InputReference
from ml.settings import Settings

KNOWN: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        TrainedModel,
        Forest,
        Network,
        FitReport,
        Priors,
        Settings,
        PlannedEvent,
        InputReference,
        Warner,
        WarnerReport,
        CrossingModel,
        Recalibration,
        AlarmRule,
    )
}
_TYPE = "type of ml"


class PackingError(ValueError):
    """Something that is not kept, or a tree that is none of ours."""


def pack(value: Any) -> Any:
    """The tree of a model or of a part of it. PackingError for a type that is not kept."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            raise PackingError("an array of objects is not kept; make it numbers or text")
        return value
    if isinstance(value, BaseEstimator):
        return value
    if isinstance(value, tuple):
        return tuple(pack(item) for item in value)
    if isinstance(value, list):
        return [pack(item) for item in value]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise PackingError("only dictionaries with text as keys are kept")
        return {key: pack(item) for key, item in value.items()}
    if is_dataclass(value) and type(value) in KNOWN.values():
        content = {one.name: pack(getattr(value, one.name)) for one in fields(value) if one.init}
        return {_TYPE: type(value).__name__, **content}
    raise PackingError(f"a {type(value).__name__} is not kept; add it to ml.life.packing.KNOWN")


def unpack(tree: Any) -> Any:
    """The reverse of `pack`. PackingError when the tree does not fit today's types."""
    if isinstance(tree, tuple):
        return tuple(unpack(item) for item in tree)
    if isinstance(tree, list):
        return [unpack(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    content = {key: unpack(item) for key, item in tree.items() if key != _TYPE}
    if _TYPE not in tree:
        return content
    name = tree[_TYPE]
    kind = KNOWN.get(name) if isinstance(name, str) else None
    if kind is None:
        raise PackingError(f"{name!r} is no type of models")
    expected = {one.name for one in fields(kind) if one.init}
    if content.keys() != expected:
        odd = ", ".join(sorted(content.keys() ^ expected))
        raise PackingError(f"a {name} with other fields than today's ({odd}); train a new model")
    try:
        return kind(**content)
    except (TypeError, ValueError) as error:
        raise PackingError(f"a {name} that does not fit: {error}") from error
