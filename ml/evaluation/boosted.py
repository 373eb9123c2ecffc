"""umbra's own forecaster as a peer: trained as in service, replayed over the test part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.evaluation.baselines.persistence import Persistence, PersistenceFitted
from ml.evaluation.dataset import QUANTILES, DataSet
from ml.evaluation.splits import Origins
from ml.forecasting.boosting import TrainedModel, train
from ml.forecasting.rolling import roll
from ml.series import Floats
from ml.settings import Settings


def settings_for(data: DataSet) -> Settings:
    """The settings that a set's interval and horizons ask for; everything else as in service."""
    return Settings(
        metric=data.name,
        horizons_s=data.horizons_s,
        quantiles=QUANTILES,
        step_s=data.step_s,
        min_history_s=0.0,
        companions=data.companions,
    )


@dataclass(frozen=True, slots=True)
class Boosted:
    """Trains on all series of a set up to the end of the calibration part."""

    name: str = "umbra"
    seeded: bool = True
    max_rows: int | None = None

    def fit(self, data: DataSet, seed: int) -> BoostedFitted:
        """One global model, which splits what it is given once more by itself."""
        past = [one.until(data.split.calibration_end_s) for one in data.series]
        model = train(past, settings_for(data), seed)
        return BoostedFitted(model, Persistence().fit(data, seed))


@dataclass(frozen=True, slots=True, eq=False)
class BoostedFitted:
    """model: as trained. fallback: persistence with residual quantiles, where a window holds nothing."""

    model: TrainedModel
    fallback: PersistenceFitted

    def predict(self, data: DataSet, origins: Origins) -> Floats:
        """Quantiles in the series' units, online corrections and fallback as in service.

        The replay runs over every sample from the begin of the test part to the last origin, whichever of
        them are asked for. Online learning begins there too: what came before has been trained on.
        """
        first = int(np.searchsorted(data.times_s, data.split.test_start_s))
        last = int(origins.index.max())
        rolled = roll(
            self.model, data.series, float(data.times_s[first]), float(data.times_s[last])
        )
        found = rolled.values[origins.index - first, origins.series]
        known = np.asarray(np.isfinite(found).all(axis=(1, 2)))
        return np.where(known[:, None, None], found, self.fallback.predict(data, origins))
