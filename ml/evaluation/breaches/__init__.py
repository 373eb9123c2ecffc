"""Breach prediction on recorded, ramped and simulated loads, against simple rules."""
