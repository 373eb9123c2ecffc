"""One kept model: what it was made from, how good it was, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

import numpy as np


class State(StrEnum):
    """champion: it serves. challenger: it predicts in the dark. retired: it has served, or was
    overtaken by a newer challenger. rejected: it was never good enough.
    """

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    RETIRED = "retired"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Version:
    """What never changes about a version.

    id: its name and directory; ids sort by creation. created_s: Unix time. data_hash, feature_hash:
    of the samples it learnt from and of the inputs it uses. samples, trained_until_s: of the
    history. settings, metrics: JSON values. parent: the champion at its creation. trigger: why
    it was trained. model_sha256, model_bytes: of the model's file.
    """

    id: str
    metric: str
    created_s: float
    data_hash: str
    feature_hash: str
    samples: int
    trained_until_s: float
    settings: Mapping[str, Any]
    metrics: Mapping[str, Any]
    parent: str | None
    trigger: str
    model_sha256: str
    model_bytes: int

    @classmethod
    def from_json(cls, value: Any) -> Version:
        """The reverse of `to_json`. ValueError when it is something else."""
        names = {one.name for one in fields(cls)}
        if not isinstance(value, dict) or value.keys() != names:
            raise ValueError("it does not have exactly the fields of a version")
        if not all(isinstance(value[name], str) for name in ("id", "metric", "model_sha256")):
            raise ValueError("id, metric and model_sha256 must be text")
        return cls(**value)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {one.name: plain(getattr(self, one.name)) for one in fields(self)}


@dataclass(frozen=True, slots=True)
class Standing:
    """What changes. since_s: Unix time. reason, figures: of the last decision about it."""

    state: State
    since_s: float
    reason: str
    figures: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: Any) -> Standing:
        """The reverse of `to_json`. ValueError when it is something else."""
        try:
            state = State(value["state"])
            return cls(state, float(value["since_s"]), str(value["reason"]), value["figures"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"it is no standing of a version ({error})") from error

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "state": self.state.value,
            "since_s": self.since_s,
            "reason": self.reason,
            "figures": plain(self.figures),
        }


@dataclass(frozen=True, slots=True)
class Entry:
    """A version with its standing."""

    version: Version
    standing: Standing

    @property
    def id(self) -> str:
        """The version's name."""
        return self.version.id

    @property
    def state(self) -> State:
        """Where it stands."""
        return self.standing.state


def plain(value: Any) -> Any:
    """As JSON values; numbers that are not finite become None, dataclasses dictionaries."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    return value


def data_hash(parts: Any) -> str:
    """SHA-256 (the first 16 hexadecimal digits) over names, times and values of series."""
    digest = sha256()

    def feed(value: Any) -> None:
        if isinstance(value, np.ndarray):
            digest.update(f"{value.dtype.str}{value.shape}".encode())
            digest.update(np.ascontiguousarray(value).tobytes())
        elif is_dataclass(value):
            for one in fields(value):
                digest.update(one.name.encode())
                feed(getattr(value, one.name))
        elif isinstance(value, Mapping):
            for key in sorted(value):
                feed(key)
                feed(value[key])
        elif isinstance(value, list | tuple):
            digest.update(f"[{len(value)}]".encode())
            for item in value:
                feed(item)
        else:
            digest.update(f"{value!r};".encode())

    feed(parts)
    return digest.hexdigest()[:16]
