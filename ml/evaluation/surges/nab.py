"""The Numenta anomaly benchmark: our scores in its format, judged by its own scorer.

The data (58 labelled series) are read from nab.tgz, or from a folder nab with the same content. The
scorer is not part of this project: `score` runs the one of a checkout of github.com/numenta/NAB in a process of its
own, and reads what it writes. Half of the files, chosen by their names (`for_tuning`), may be used to
choose settings; the other half is judged with the threshold that is best on the first.

Source: Lavin and Ahmad, Evaluating real-time anomaly detection algorithms, ICMLA 2015.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ml.evaluation.sources import DataMissing
from ml.series import Floats
from ml.surges.detector import SurgeDetector, SurgeSettings

SOURCE = "github.com/numenta/NAB (data, labels/combined_windows.json)"
DETECTOR = "umbra"
# A sample is reported when its score exceeds all of so many before it: the scorer counts every
# sample above the threshold as an alarm, and an alarm is raised once.
HOLD_SAMPLES = 150
PROFILES = ("standard", "reward_low_FP_rate", "reward_low_FN_rate")
SCORER_TIMEOUT_S = 1800.0


@dataclass(frozen=True, slots=True)
class NabFile:
    """name: folder and file in the corpus. rows: (time stamp as written, value as written).

    windows: first and last time stamp of each labelled anomaly.
    """

    name: str
    rows: tuple[tuple[str, str], ...]
    windows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class NabScores:
    """Profile → score (0: no detection at all, 100: every anomaly at once and no false alarm).

    whole: with the threshold that is best on all files, the benchmark's rule. tuning: the same on the tuning half.
    frozen: the other half with the tuning half's threshold.
    """

    whole: Mapping[str, float]
    tuning: Mapping[str, float]
    frozen: Mapping[str, float]

    @property
    def standard(self) -> float:
        """The standard profile on all files: the figure that is published for detectors."""
        return self.whole["standard"]


def for_tuning(name: str) -> bool:
    """Whether settings may be chosen on this file: the SHA-256 of its name begins with an even byte."""
    return hashlib.sha256(name.encode()).digest()[0] % 2 == 0


def files(data: Path) -> list[NabFile]:
    """All files of the corpus, by name. Raises DataMissing."""
    contents = dict(_contents(data))
    labels = contents.pop("labels/combined_windows.json", None)
    if labels is None or not contents:
        raise DataMissing(
            f"{data} has no complete nab.tgz or nab folder; it is published as {SOURCE}"
        )
    windows = json.loads(labels)
    found = []
    for path, text in sorted(contents.items()):
        name = path.removeprefix("data/")
        if name not in windows:
            continue
        rows = tuple((row[0], row[1]) for row in list(csv.reader(io.StringIO(text)))[1:])
        own = tuple((first.split(".")[0], last.split(".")[0]) for first, last in windows[name])
        found.append(NabFile(name, rows, own))
    return found


def detect(file: NabFile, settings: SurgeSettings | None = None) -> Floats:
    """Our scores of one file, in [0, 1): s / (1 + s) of s decades; 0 where nothing new is reported."""
    detector = SurgeDetector(settings or SurgeSettings.measured(both=True))
    stamps = np.array([stamp for stamp, _ in file.rows], dtype="datetime64[s]")
    last_s, scores = -np.inf, np.zeros(len(file.rows))
    for index, (time_s, (_, value)) in enumerate(
        zip(stamps.astype(np.int64), file.rows, strict=True)
    ):
        # Some recordings repeat an hour where clocks were set back.
        last_s = max(float(time_s), last_s + 1e-3)
        scores[index] = detector.update(last_s, float(value)).score
    reported = hold_off(scores, HOLD_SAMPLES)
    return reported / (1.0 + reported)


def hold_off(scores: Floats, samples: int) -> Floats:
    """The scores that exceed every reported one of the latest `samples`, the others 0."""
    reported = np.zeros_like(scores)
    highest, last = 0.0, -samples
    for index, score in enumerate(scores.tolist()):
        if index - last > samples:
            highest = 0.0
        if score > highest:
            reported[index] = highest = score
            last = index
    return reported


def write(folder: Path, corpus: list[NabFile], scores: Mapping[str, Floats]) -> None:
    """Results in the benchmark's layout below `folder`: ours, and those of a detector that never alarms."""
    for file in corpus:
        place, name = file.name.split("/")
        for detector, values in ((DETECTOR, scores[file.name]), ("null", None)):
            path = folder / detector / place / f"{detector}_{name}"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", newline="", encoding="utf-8") as out:
                writer = csv.writer(out)
                writer.writerow(("timestamp", "value", "anomaly_score", "label"))
                for index, (stamp, value) in enumerate(file.rows):
                    inside = any(first <= stamp <= last for first, last in file.windows)
                    score = 0.5 if values is None else repr(float(values[index]))
                    writer.writerow((stamp, value, score, int(inside)))


def score(
    nab: Path,
    corpus: list[NabFile],
    scores: Mapping[str, Floats],
    python: str = sys.executable,
) -> NabScores:
    """What the scorer of the checkout `nab` makes of our scores.

    python: an interpreter that can run it (it needs pandas). Raises DataMissing (no checkout) and
    RuntimeError (it failed; with its last words).
    """
    if not (nab / "run.py").is_file():
        raise DataMissing(f"{nab} holds no run.py; clone github.com/numenta/NAB there")
    halves = (
        [file for file in corpus if for_tuning(file.name)],
        [file for file in corpus if not for_tuning(file.name)],
    )
    with tempfile.TemporaryDirectory(prefix="umbra-nab-") as place:
        root = Path(place)
        whole = _Run(nab, root / "whole", corpus, scores, python)
        tuning = _Run(nab, root / "tuning", halves[0], scores, python)
        other = _Run(nab, root / "other", halves[1], scores, python)
        whole.optimize()
        tuning.optimize()
        other.thresholds.write_text(tuning.thresholds.read_text())
        return NabScores(whole.score(), tuning.score(), other.score())


class _Run:
    """The scorer on one set of files, in a folder of its own."""

    def __init__(
        self,
        nab: Path,
        root: Path,
        corpus: list[NabFile],
        scores: Mapping[str, Floats],
        python: str,
    ) -> None:
        self._root = root
        self.thresholds = root / "thresholds.json"
        for file in corpus:
            path = root / "data" / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", newline="", encoding="utf-8") as out:
                csv.writer(out).writerows((("timestamp", "value"), *file.rows))
        windows = {
            file.name: [[f"{first}.000000", f"{last}.000000"] for first, last in file.windows]
            for file in corpus
        }
        (root / "windows.json").write_text(json.dumps(windows))
        write(root / "results", corpus, scores)
        (root / "results" / "final_results.json").write_text("{}")
        never = {profile: {"threshold": 1.0, "score": 0.0} for profile in PROFILES}
        self.thresholds.write_text(json.dumps({"null": never}))
        self._command = [
            python,
            str(nab.resolve() / "run.py"),
            "--skipConfirmation",
            f"--dataDir={root / 'data'}",
            f"--resultsDir={root / 'results'}",
            f"--windowsFile={root / 'windows.json'}",
            f"--profilesFile={nab.resolve() / 'config' / 'profiles.json'}",
            f"--thresholdsFile={self.thresholds}",
            "--numCPUs=1",
        ]
        self._nab = nab

    def optimize(self) -> None:
        """Let it find the threshold of each profile."""
        self._call("--optimize", "-d", DETECTOR)

    def score(self) -> dict[str, float]:
        """Profile → normalised score with the thresholds at hand."""
        self._call("--score", "--normalize", "-d", "null", DETECTOR)
        found = json.loads((self._root / "results" / "final_results.json").read_text())
        return {profile: float(found[DETECTOR][profile]) for profile in PROFILES}

    def _call(self, *arguments: str) -> None:
        done = subprocess.run(
            [*self._command, *arguments],
            cwd=self._nab,
            capture_output=True,
            text=True,
            timeout=SCORER_TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            last = "\n".join(done.stderr.strip().splitlines()[-3:])
            raise RuntimeError(f"the scorer of {self._nab} failed ({' '.join(arguments)}): {last}")


def _contents(data: Path) -> Iterator[tuple[str, str]]:
    """(path below nab, text) of every series and of the labels."""
    archive, folder = data / "nab.tgz", data / "nab"
    if archive.is_file():
        with tarfile.open(archive) as tar:
            for member in tar:
                path = member.name.removeprefix("nab/")
                if member.isfile() and path.endswith((".csv", "combined_windows.json")):
                    source = tar.extractfile(member)
                    if source is not None:
                        yield path, source.read().decode("utf-8")
    elif folder.is_dir():
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file.name.endswith((".csv", "combined_windows.json")):
                yield file.relative_to(folder).as_posix(), file.read_text(encoding="utf-8")
