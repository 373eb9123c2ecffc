"""Surges, seen as they begin: streaming detection in constant time and memory."""
