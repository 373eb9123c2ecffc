"""Time series for umbra: forecasts, breach prediction, surge detection. Knows no networks."""

from ml.boosting import FitReport, TrainedModel, train
from ml.breach import Breach, breach
from ml.calendar import PlannedEvent
from ml.forecast import Forecast
from ml.forecaster import Forecaster
from ml.series import Series
from ml.settings import Settings
from ml.surge import Surge, SurgeDetector, SurgeSettings

__all__ = [
    "Breach",
    "FitReport",
    "Forecast",
    "Forecaster",
    "PlannedEvent",
    "Series",
    "Settings",
    "Surge",
    "SurgeDetector",
    "SurgeSettings",
    "TrainedModel",
    "breach",
    "train",
]
