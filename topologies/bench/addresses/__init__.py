"""`umbra bench addresses`: its parts, and the programs they start."""
