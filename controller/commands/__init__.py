"""The commands of `umbra`, one subject per file."""
