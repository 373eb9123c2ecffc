"""When to train again: the first time, as history grows, as the model ages, and on drift."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """min_history_s: no training before the history spans this. growth: train when this share of new
    samples has come since the last training. after_s: train when the last training is this old,
    seconds. pause_s: never sooner than this after the last one; drift_pause_s: for drift's sake neither (a model
    trained on the first minutes of something new knows little of it).
    """

    min_history_s: float = 1800.0
    growth: float = 0.5
    after_s: float = 86_400.0
    pause_s: float = 300.0
    drift_pause_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class LastTraining:
    """made_s: when it ended, Unix time. samples: it had. features: hash of its inputs."""

    made_s: float
    samples: int
    features: str


def due(
    schedule: Schedule,
    now_s: float,
    span_s: float,
    new_samples: int,
    last: LastTraining | None,
    *,
    features: str,
    drift: str | None = None,
) -> str | None:
    """Why to train now; None: not yet. span_s: of the history. new_samples: since the last training.
    features: hash of the inputs that a model would have now. drift: what has drifted, in words.
    """
    if span_s < schedule.min_history_s:
        return None
    if last is None:
        return f"first training: the history spans {span_s:.0f} s"
    if last.features != features:
        return "other horizons, steps or inputs than the last training's"
    # A clock that was set back must not hold trainings up.
    age_s = abs(now_s - last.made_s)
    if age_s < schedule.pause_s:
        return None
    if drift is not None and age_s >= schedule.drift_pause_s:
        return f"drift: {drift}"
    if new_samples >= schedule.growth * max(last.samples, 1):
        share_pct = 100.0 * new_samples / max(last.samples, 1)
        return f"growth: {new_samples} new samples, {share_pct:.0f} % of the last training's"
    if age_s >= schedule.after_s and new_samples > 0:
        return f"age: the last training was {age_s / 3600:.1f} h ago"
    return None
