"""The address shadow manager: addresses and shards ahead of demand (seeds 9923865 and 9055112), beside the cycle."""
