"""A small, right configuration as text, with addresses that nobody answers at."""

FABRIC_YAML = """\
umbra: 1
switches:
  - {name: e1, stage: edge, device_id: 1, address: "127.0.0.1:1", label: 101,
     mac: 02:00:00:00:01:01, subnet: 10.1.1.0/24}
  - {name: s1, stage: spine, device_id: 11, address: "127.0.0.1:1", label: 201,
     mac: 02:00:00:00:02:01, subnet: 10.2.1.0/24}
  - {name: r1, stage: router, device_id: 21, address: "127.0.0.1:1", label: 301,
     mac: 02:00:00:00:03:01, capacity: 400, threshold_available: 100}
  - {name: r2, stage: router, device_id: 22, address: "127.0.0.1:1", label: 302,
     mac: 02:00:00:00:03:02, capacity: 400, threshold_available: 100}
links:
  - {a: e1:1, b: s1:1}
  - {a: r1:1, b: s1:2, delay_ms: 2}
  - {a: r2:1, b: s1:3}
clients:
  - {name: c1, port: e1:9, ip: 10.1.1.10, mac: 02:00:00:00:04:01}
backends:
  - {name: b1, port: s1:9, ip: 10.2.1.10, mac: 02:00:00:00:05:01, label: 401}
services:
  - {id: 1, name: web, address: 10.100.0.1, protocol: tcp, port: 80, routers: [r1], backends: [b1]}
"""


def running_yaml(period_s: float, api_port: int | str) -> str:
    """The same for a daemon that turns at this period and serves its API at this port."""
    return f"cycle: {{period_s: {period_s}}}\napi: {{port: {api_port}}}\n" + FABRIC_YAML
