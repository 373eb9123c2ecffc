"""`umbra bench replication`: two routers with real replication between them, and conntrackd beside them."""
