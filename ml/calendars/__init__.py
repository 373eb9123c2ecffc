"""Calendar files and planned events: what is known about the load before it comes."""
