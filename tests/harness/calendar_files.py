"""Calendar files as tests write them, and what is read of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from ml.calendars import reader as calendars
from ml.calendars.events import PlannedEvent
from ml.calendars.file import Window

NAMING = {
    "services": {"web": ("r1", "r2"), "mail": ("r3",)},
    "routers": {"r1": ("r1",), "r2": ("r2",), "r3": ("r3",)},
}
# Both contain a change of the clock in Europe and one in America (or lie close to it).
SPRING = datetime(2026, 3, 22, tzinfo=UTC).timestamp()
AUTUMN = datetime(2026, 10, 24, tzinfo=UTC).timestamp()
WHEN = ("DTSTART:20260325T100000Z", "DTEND:20260325T110000Z")


def event(*lines: str, uid: str = "1") -> str:
    inner = "".join(f"{line}\n" for line in lines)
    return f"BEGIN:VEVENT\nUID:{uid}\nDTSTAMP:20260101T000000Z\n{inner}END:VEVENT\n"


def ics(body: str, head: str = "") -> str:
    return f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:test\n{head}{body}END:VCALENDAR\n"


def read(
    directory: Path, text: str, kind: str = "ics", now_s: float = SPRING, zone: str = "UTC"
) -> list[PlannedEvent]:
    file = directory / f"plan.{kind}"
    file.write_text(text, encoding="utf-8")
    return calendars.read(file, Window.around(now_s), zone=zone, naming=NAMING)
