"""Surge detection on recorded loads, injected surges and NAB."""
