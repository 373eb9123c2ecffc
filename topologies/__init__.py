"""The emulated fabric: three-stage Clos networks in Mininet, synthetic load of real connections,
and the demo.
"""
