"""Comparisons of a variant (a router with another program or configuration) with a primary, on a share of its new
traffic: the running part of `plan/ab`.
"""
