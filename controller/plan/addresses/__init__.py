"""The address planners: how many are held warm, in which shards (seeds 9923865; 9055112, section 3)."""
