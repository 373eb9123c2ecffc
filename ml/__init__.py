"""Time series for umbra: forecasts, breach prediction, surge detection. Knows no networks.

Import from the modules that hold the names: importing `ml` alone loads nothing else.
"""
