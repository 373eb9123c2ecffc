"""The kept models of one metric: a directory per version, and one file that says how they stand.

    DIRECTORY/METRIC/states.json            who is champion, challenger, previous champion
    DIRECTORY/METRIC/VERSION/version.json   what it was made from and how good it was; never changes
    DIRECTORY/METRIC/VERSION/model.skops    the model itself; never changes

A version's directory appears as a whole (written beside, then renamed), and every change of standing is
one replacement of states.json: after a crash there is the state before or the state after, never
two champions. Several processes may use a registry: changes are made under a file lock.

The SHA-256 in version.json tells a damaged or exchanged model file. Who may write the directory can
change both; that such a file runs nothing is the business of `ml.life.model_file`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ml.breaches.warner import Warner, WarnerReport
from ml.forecasting.boosting import TrainedModel
from ml.life import durable, model_file
from ml.life.drift import InputReference
from ml.life.version import Entry, Standing, State, Version, plain

FORMAT = 1
STATES, VERSION, MODEL = "states.json", "version.json", "model.skops"
KEEP = 10
_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")
_METRIC = re.compile(r"[a-z][a-z0-9_-]{0,63}")
UNJUDGED = Standing(State.REJECTED, 0.0, "kept, but never judged: the writer ended before")


class RegistryError(Exception):
    """Something in the registry cannot be used; the message names the file and the remedy."""


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What is kept of a training. reference: of its inputs, to tell drift by; None: unknown.

    warner: what warns of breaches beside the model; None: alarms are raised by the simple rule.
    warned: how its rule was chosen, or why there is none; None: no such training was made.
    """

    model: TrainedModel
    reference: InputReference | None
    warner: Warner | None = None
    warned: WarnerReport | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a version comes from (see `Version`)."""

    created_s: float
    data_hash: str
    trigger: str


@dataclass(frozen=True, slots=True)
class States:
    """states.json. previous: the champion before, which still predicts in the dark until
    watch_until_s (Unix time); it may be a model that is not kept, under a name of the caller's own.
    number: of changes.
    """

    standings: Mapping[str, Standing] = field(default_factory=dict)
    previous: str | None = None
    watch_until_s: float | None = None
    number: int = 0

    def holder(self, state: State) -> str | None:
        """The version in this state (the newest, were there several)."""
        found = [name for name, one in self.standings.items() if one.state is state]
        return max(found, default=None)


class Registry:
    """The versions of one metric. directory: of all metrics; made when it is missing."""

    def __init__(self, directory: str | Path, metric: str, keep: int = KEEP) -> None:
        if not _METRIC.fullmatch(metric):
            raise RegistryError(f"{metric!r} is no name of a metric: use a-z, 0-9, - and _")
        self.metric = metric
        self.keep = keep
        self.path = Path(directory) / metric

    def states(self) -> States:
        """Who stands where; empty when nothing was kept yet."""
        path = self.path / STATES
        try:
            value = json.loads(path.read_bytes())
            if value["format"] != FORMAT:
                raise ValueError(f"format {value['format']}, this umbra knows {FORMAT}")
            standings = {n: Standing.from_json(one) for n, one in value["versions"].items()}
            return States(standings, value["previous"], value["watch_until_s"], value["number"])
        except FileNotFoundError:
            return States()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RegistryError(
                f"{path} cannot be read ({error}); move it away: the versions stay, and the next "
                "training begins anew"
            ) from error

    def entries(self) -> list[Entry]:
        """Every version, the newest first. One whose version.json cannot be read is left out."""
        standings = self.states().standings
        found = []
        for name in self._names():
            try:
                found.append(Entry(self._version(name), standings.get(name, UNJUDGED)))
            except RegistryError:
                continue
        return sorted(found, key=lambda entry: entry.id, reverse=True)

    def entry(self, name: str) -> Entry:
        """One version. RegistryError when there is none, or its version.json is damaged."""
        self._require(name)
        return Entry(self._version(name), self.states().standings.get(name, UNJUDGED))

    def add(self, kept: Kept, origin: Origin, standing: Standing) -> Entry:
        """Keep a model. A new challenger retires the one before, a new champion likewise."""
        data = model_file.dumps(
            {
                "model": kept.model,
                "reference": kept.reference,
                "warner": kept.warner,
                "format": FORMAT,
            }
        )
        report = kept.model.report
        digest = model_file.sha256(data)
        moment = datetime.fromtimestamp(origin.created_s, UTC).strftime("%Y%m%dT%H%M%SZ")
        self.path.mkdir(parents=True, exist_ok=True)
        with durable.locked(self.path):
            durable.sweep(self.path)
            states = self.states()
            version = Version(
                id=f"{moment}-{digest[:8]}",
                metric=self.metric,
                created_s=origin.created_s,
                data_hash=origin.data_hash,
                feature_hash=report.features,
                samples=report.samples,
                trained_until_s=report.trained_until_s,
                settings=plain(kept.model.settings),
                metrics=_metrics(kept),
                parent=states.holder(State.CHAMPION),
                trigger=origin.trigger,
                model_sha256=digest,
                model_bytes=len(data),
            )
            text = json.dumps(version.to_json(), indent=1).encode()
            if not (self.path / version.id).exists():  # the very same model within one second
                durable.make_directory(self.path / version.id, {MODEL: data, VERSION: text})
            self._write(_with(states, version.id, standing))
            self._prune()
        return Entry(version, standing)

    def change(
        self,
        name: str,
        standing: Standing,
        *,
        previous: str | None = None,
        watch_until_s: float | None = None,
    ) -> None:
        """A version's new standing, in one step with what follows for others: a new champion retires
        the old one, a new challenger the old challenger. previous, watch_until_s: who predicts in
        the dark from now on (as in `States`). RegistryError for an unknown version.
        """
        self._require(name)
        with durable.locked(self.path):
            changed = _with(self.states(), name, standing)
            self._write(replace(changed, previous=previous, watch_until_s=watch_until_s))

    def without_champion(self, standing: Standing) -> None:
        """The champion goes back to `standing`, and the model without training serves again."""
        with durable.locked(self.path):
            states = self.states()
            name = states.holder(State.CHAMPION)
            if name is not None:
                changed = _with(states, name, standing)
                self._write(replace(changed, previous=None, watch_until_s=None))

    def load(self, name: str) -> Kept:
        """A version's model. RegistryError, with the reason, when its file is not as it was written,
        or names types that models do not have.
        """
        self._require(name)
        version = self._version(name)
        path = self.path / name / MODEL
        try:
            data = path.read_bytes()
        except OSError as error:
            raise RegistryError(f"{path} cannot be read ({error.strerror}); {_REMEDY}") from error
        try:
            if model_file.sha256(data) != version.model_sha256:
                raise model_file.ModelFileError("it was changed after it was written")
            content = model_file.loads(data)
            warner = content["warner"]
            return Kept(
                content["model"],
                content["reference"],
                warner,
                warner.report if warner is not None else None,
            )
        except (model_file.ModelFileError, KeyError, TypeError) as error:
            raise RegistryError(f"{path} is refused: {error}; {_REMEDY}") from error

    def _write(self, states: States) -> None:
        value: dict[str, Any] = {
            "format": FORMAT,
            "number": states.number + 1,
            "previous": states.previous,
            "watch_until_s": states.watch_until_s,
            "versions": {name: one.to_json() for name, one in states.standings.items()},
        }
        durable.write(self.path / STATES, json.dumps(value, indent=1).encode())

    def _prune(self) -> None:
        """Delete the oldest versions beyond `keep`, none that is in use."""
        states = self.states()
        used = {states.previous, states.holder(State.CHAMPION), states.holder(State.CHALLENGER)}
        spare = [name for name in sorted(self._names(), reverse=True) if name not in used]
        old = spare[self.keep :]
        if old:
            left = {name: one for name, one in states.standings.items() if name not in old}
            self._write(replace(states, standings=left))
            for name in old:
                durable.remove_directory(self.path / name)

    def _names(self) -> list[str]:
        if not self.path.is_dir():
            return []
        return [one.name for one in self.path.iterdir() if _ID.fullmatch(one.name)]

    def _require(self, name: str) -> None:
        if not _ID.fullmatch(name) or not (self.path / name).is_dir():
            known = ", ".join(sorted(self._names())) or "none"
            raise RegistryError(
                f"there is no version {name!r} of {self.metric}; there are: {known}"
            )

    def _version(self, name: str) -> Version:
        path = self.path / name / VERSION
        try:
            version = Version.from_json(json.loads(path.read_bytes()))
            if version.id != name:
                raise ValueError(f"it is of version {version.id}")
            return version
        except (OSError, ValueError) as error:
            raise RegistryError(f"{path} cannot be used ({error}); {_REMEDY}") from error


def _metrics(kept: Kept) -> dict[str, Any]:
    """The forecast model's figures, and those of the alarm rule as `alarm_…`."""
    figures: dict[str, Any] = plain(kept.model.report)
    if kept.warned is not None:
        figures |= {f"alarm_{name}": one for name, one in plain(kept.warned).items()}
    return figures


_REMEDY = "delete that directory and train anew, or roll back to another version"


def _with(states: States, name: str, standing: Standing) -> States:
    """The standings after this change; there is one champion and one challenger at most."""
    changed = dict(states.standings)
    if standing.state in (State.CHAMPION, State.CHALLENGER):
        for other, one in states.standings.items():
            if other != name and one.state is standing.state:
                reason = f"followed by {name}"
                changed[other] = Standing(State.RETIRED, standing.since_s, reason)
    changed[name] = standing
    return replace(states, standings=changed)
