"""`umbra bench destinations`: placement, the day at two sites, redirects and failures, the graph."""
