"""Peers that a forecast has to beat, each fitted and asked in the same run on the same origins."""
