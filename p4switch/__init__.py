"""The embedded switch: runs any v1model program that p4c compiled for BMv2 and speaks P4Runtime."""
