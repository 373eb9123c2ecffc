"""Synthetic load: real TCP connections between hosts, open loop, every one accounted for."""
