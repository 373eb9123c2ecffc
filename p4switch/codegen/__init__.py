"""Program → Python source: one flat function per kind of pass, made once when the pipeline loads.

The generator evaluates the program in part while it writes it down: what is constant on a path
(validity bits, initial metadata, table-independent assignments) never reaches the packet.
"""
