"""Quantile forecasts of any metric: inputs, trees, online correction, cold start."""
