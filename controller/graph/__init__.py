"""The graph of destinations, resources, locations, links and their costs (seed 9407539, data storage)."""
