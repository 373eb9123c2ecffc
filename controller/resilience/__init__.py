"""What keeps connections alive in the running controller: health, replicas, failover, drain and return."""
