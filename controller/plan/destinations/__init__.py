"""Where standby copies of destinations shall be (seed 9407539, Shadow DI Allocator). Pure, deterministic."""
