"""Where telemetry is kept: one interface, an adapter for each kind of store, and what goes between.

interface    what every adapter does, and the values it takes and gives
schema       which measurements there are, their tags, fields, units and bounds
sqlite       the embedded store
influx1, influx2, influx3   InfluxDB; detect says which one answers
spool, delivery, canary     nothing is lost on the way to a server
downsample, transfer, parquet   one store's data made coarser, or brought to another
"""
