"""What a person sees of the way to the telemetry server."""

from __future__ import annotations

from controller.commands.store_tables import delivery

STATE = {
    "server": "InfluxDB 2.x (v2.7.12)", "available": True, "delivered": 1200, "rejected": 0,
    "waiting": 30, "unproven": 12, "proofs": 3, "replays": 0, "spool_bytes": 4096,
    "spool_full_pct": 0.4,
}  # fmt: skip


def test_what_waits_and_how_full_the_spool_is_can_be_read() -> None:
    line = delivery(STATE).plain
    assert "InfluxDB 2.x (v2.7.12)" in line
    assert "1200 samples delivered, 42 on their way, spool 0.4 % full" in line
    assert "refused" not in line


def test_refused_lines_and_a_silent_server_are_said() -> None:
    line = delivery({**STATE, "server": None, "available": False, "rejected": 2}).plain
    assert "has not answered yet" in line
    assert "2 refused (umbra store rejected)" in line
