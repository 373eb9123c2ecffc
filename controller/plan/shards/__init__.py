"""The sharding engine: predicted demand → shards per subdivision → routes (seed 9055112)."""
