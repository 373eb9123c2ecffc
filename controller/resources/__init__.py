"""The shadow manager for devices in the running controller (seed 10069757): collects what devices use, forecasts it,
has `plan/resources` decide, and carries that out: limits of the shadows, shares of the primaries' new traffic.
"""
