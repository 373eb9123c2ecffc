"""Real servers and routers of one's own, each on loopback or in a namespace, ended by process id."""
