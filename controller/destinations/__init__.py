"""Destination shadowing in the running controller (seed 9407539): history, demand, placement, redirects, adjustment."""
