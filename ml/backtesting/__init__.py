"""A history replayed: what the controller would have forecast, had it been there."""

from ml.backtesting.figures import Figures, figures
from ml.backtesting.replay import Replay, replay
from ml.backtesting.report import html

__all__ = ["Figures", "Replay", "figures", "html", "replay"]
