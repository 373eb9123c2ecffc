"""What is kept of a training is there again, whole, and nothing else is ever loaded."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.preprocessing import FunctionTransformer

from ml.forecasting.boosting import TrainedModel
from ml.forecasting.forecaster import Forecaster
from ml.life import model_file
from ml.life.registry import Kept, Origin, Registry, RegistryError
from ml.life.training import train_kept
from ml.life.version import Standing, State, data_hash
from ml.series import Series
from ml.settings import Settings

SETTINGS = Settings(
    horizons_s=(60.0, 300.0), step_s=60.0, lookback_steps=60, min_history_s=3600.0, iterations=5
)


def history(seed: int = 0, minutes: int = 2000) -> Series:
    chance = np.random.default_rng(seed)
    time_s = 60.0 * np.arange(minutes, dtype=np.float64)
    wave = 100 + 40 * np.sin(2 * np.pi * time_s / 7200.0) + chance.normal(0, 3, minutes)
    return Series("a", time_s, np.abs(wave))


@pytest.fixture(scope="module")
def kept() -> Kept:
    found = train_kept([history()], SETTINGS, seed=1)
    assert found.model.report.accepted, found.model.report.reason
    assert found.reference is not None
    return found


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models", "connections", keep=3)


def add(registry: Registry, kept: Kept, created_s: float, state: State = State.CHALLENGER) -> str:
    origin = Origin(created_s, data_hash([history()]), "test")
    return registry.add(kept, origin, Standing(state, created_s, "test")).id


def same(left: TrainedModel, right: TrainedModel) -> bool:
    """Whether both forecast the same."""
    made = []
    for model in (left, right):
        forecaster = Forecaster(SETTINGS)
        forecaster.adopt(model)
        made.append(forecaster.predict([history(3)], float(history(3).times_s[-1]))["a"])
    assert made[0].model == "boosting"
    return made[0] == made[1]


def test_a_model_that_was_kept_predicts_the_same(registry: Registry, kept: Kept) -> None:
    name = add(registry, kept, 1000.0, State.CHAMPION)
    found = Registry(registry.path.parent, "connections").load(name)
    assert found.model.settings == SETTINGS
    assert found.model.report == kept.model.report
    assert same(found.model, kept.model)
    assert found.reference is not None
    assert kept.reference is not None
    assert np.array_equal(found.reference.shares, kept.reference.shares)


def test_a_version_says_what_it_was_made_from(registry: Registry, kept: Kept) -> None:
    first = add(registry, kept, 1000.0, State.CHAMPION)
    second = registry.entry(add(registry, kept, 2000.0)).version
    assert second.parent == first
    assert second.data_hash == data_hash([history()]) != data_hash([history(1)])
    assert second.feature_hash == kept.model.report.features
    assert second.settings["horizons_s"] == [60.0, 300.0]
    assert second.metrics["accepted"] is True
    assert second.id.startswith("19700101T003320Z-")


def test_there_is_one_champion_and_one_challenger(registry: Registry, kept: Kept) -> None:
    first = add(registry, kept, 1000.0, State.CHAMPION)
    second, third = add(registry, kept, 2000.0), add(registry, kept, 3000.0)
    states = {entry.id: entry.state for entry in registry.entries()}
    assert states == {
        first: State.CHAMPION,
        second: State.RETIRED,
        third: State.CHALLENGER,
    }
    better = Standing(State.CHAMPION, 4000.0, "better", {"wealth": 21.0})
    registry.change(third, better, previous=first, watch_until_s=5000.0)
    again = registry.states()
    assert again.holder(State.CHAMPION) == third
    assert again.standings[first].state is State.RETIRED
    assert (again.previous, again.watch_until_s) == (first, 5000.0)
    assert registry.entry(third).standing.figures == {"wealth": 21.0}


def test_old_versions_go_but_never_one_in_use(registry: Registry, kept: Kept) -> None:
    champion = add(registry, kept, 1000.0, State.CHAMPION)
    rejected = [add(registry, kept, 2000.0 + n, State.REJECTED) for n in range(6)]
    left = {entry.id for entry in registry.entries()}
    assert left == {champion, *rejected[-3:]}
    assert set(registry.states().standings) == left


def test_a_changed_model_file_is_refused(registry: Registry, kept: Kept) -> None:
    name = add(registry, kept, 1000.0)
    path = registry.path / name / "model.skops"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(RegistryError, match="changed after it was written"):
        registry.load(name)


def exchange(registry: Registry, name: str, data: bytes) -> None:
    """Put another model file there, with the hash that belongs to it."""
    (registry.path / name / "model.skops").write_bytes(data)
    path = registry.path / name / "version.json"
    value = json.loads(path.read_text())
    value["model_sha256"] = model_file.sha256(data)
    path.write_text(json.dumps(value))


def test_a_file_with_other_types_is_refused_by_name(registry: Registry, kept: Kept) -> None:
    name = add(registry, kept, 1000.0)
    exchange(registry, name, skops.io.dumps({"model": FunctionTransformer(os.system)}))
    with pytest.raises(RegistryError, match=r"FunctionTransformer.*nothing was loaded"):
        registry.load(name)


def test_a_type_that_skops_trusts_by_itself_is_refused_too(registry: Registry, kept: Kept) -> None:
    name = add(registry, kept, 1000.0)
    data = skops.io.dumps({"model": FunctionTransformer()})
    assert not skops.io.get_untrusted_types(data=data)
    exchange(registry, name, data)
    with pytest.raises(RegistryError, match="FunctionTransformer"):
        registry.load(name)


def test_a_file_that_would_run_code_runs_none(
    registry: Registry, kept: Kept, tmp_path: Path
) -> None:
    name = add(registry, kept, 1000.0)
    mark = tmp_path / "ran"
    schema = {
        "__class__": "system", "__module__": "posix", "__loader__": "FunctionNode",
        "content": {"module_path": "posix", "function": f"touch {mark}"},
    }  # fmt: skip
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))
    exchange(registry, name, buffer.getvalue())
    with pytest.raises(RegistryError, match=r"posix\.system"):
        registry.load(name)
    assert not mark.exists()


def test_a_small_file_that_unfolds_to_a_huge_one_is_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b" " * (model_file.MOST_BYTES + 1))
    assert len(buffer.getvalue()) < 2**20
    with pytest.raises(model_file.ModelFileError, match="unfolds"):
        model_file.loads(buffer.getvalue())


def test_no_pickle_is_read_or_written(registry: Registry, kept: Kept) -> None:
    name = add(registry, kept, 1000.0)
    with zipfile.ZipFile(registry.path / name / "model.skops") as archive:
        kinds = {Path(entry).suffix for entry in archive.namelist()}
    assert kinds <= {".json", ".npy"}
    with pytest.raises(model_file.ModelFileError):
        model_file.loads(b"\x80\x04cposix\nsystem\n.")


def test_a_model_with_a_type_that_is_not_kept_is_refused_when_written(kept: Kept) -> None:
    odd = replace(kept.model, columns=(FunctionTransformer(),))
    with pytest.raises(model_file.ModelFileError, match="FunctionTransformer"):
        model_file.dumps({"model": odd})


@pytest.mark.parametrize("stage", ["draft", "renamed"])
def test_a_crash_while_a_version_is_written_leaves_the_champion(
    registry: Registry, kept: Kept, tmp_path: Path, stage: str
) -> None:
    champion = add(registry, kept, 1000.0, State.CHAMPION)
    # A process of its own that ends without a word, before or after the version's directory appears.
    (tmp_path / "again.skops").write_bytes(model_file.dumps(kept.model))
    code = f"""
import os, sys
from pathlib import Path
from ml.life import durable
from ml.life import model_file
from ml.life.registry import Kept, Origin, Registry
from ml.life.version import Standing, State
model = model_file.loads(Path({str(tmp_path / "again.skops")!r}).read_bytes())
target = "make_directory" if {stage!r} == "renamed" else "_put"
done = getattr(durable, target)
def crash(*arguments):
    done(*arguments)
    os._exit(9)
setattr(durable, target, crash)
Registry({str(registry.path.parent)!r}, "connections").add(
    Kept(model, None), Origin(2000.0, "x", "crash"), Standing(State.CHALLENGER, 2000.0, "x"))
"""
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert ended.returncode == 9, ended.stderr.decode()
    states = registry.states()
    assert states.holder(State.CHAMPION) == champion
    assert states.holder(State.CHALLENGER) is None
    assert all(entry.state is not State.CHALLENGER for entry in registry.entries())
    registry.load(champion)
    later = add(registry, kept, 3000.0)
    assert registry.states().holder(State.CHALLENGER) == later
    assert not [one.name for one in registry.path.iterdir() if one.name.startswith(".new-")]


def test_states_that_cannot_be_read_are_named(registry: Registry, kept: Kept) -> None:
    add(registry, kept, 1000.0)
    (registry.path / "states.json").write_text("{")
    with pytest.raises(RegistryError, match=r"states\.json.*move it away"):
        registry.states()


def test_only_a_version_can_be_loaded(registry: Registry, kept: Kept) -> None:
    name = add(registry, kept, 1000.0)
    for odd in ("../connections", "x", name + "/..", ""):
        with pytest.raises(RegistryError, match=f"there are: {name}"):
            registry.load(odd)
    with pytest.raises(RegistryError, match="metric"):
        Registry(registry.path, "../up")
