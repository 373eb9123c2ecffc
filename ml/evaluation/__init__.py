"""How good the forecasts are: recorded series, chronological splits, losses, peers, reports.

Nothing here serves; the controller imports none of it. Data are read from a folder that the caller names.
"""
