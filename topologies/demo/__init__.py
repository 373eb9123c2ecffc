"""The demo: its runs and acts, and the report on them."""
