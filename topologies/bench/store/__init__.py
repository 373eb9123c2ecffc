"""`umbra bench store`: speed and faults of each telemetry store."""
