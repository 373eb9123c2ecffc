"""Calendar files → planned events: iCalendar (RFC 5545, .ics) and YAML (.yaml, .yml).

Repetitions are written out within a window. What a file may hold is limited, so that neither reading it
nor forecasting with it takes long.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ml.calendars.events import PlannedEvent
from ml.calendars.file import (
    MOST_OCCURRENCES,
    CalendarError,
    CalendarProblem,
    Found,
    Naming,
    Window,
)
from ml.calendars.times import zone_of

MOST_BYTES: Final = 5_000_000
ICS: Final = (".ics",)
YAML: Final = (".yaml", ".yml")


def read(
    path: str | Path, window: Window, *, zone: str = "UTC", naming: Naming | None = None
) -> list[PlannedEvent]:
    """The occurrences that meet the window, by their start.

    zone: IANA name; for times and days that name none. naming: what an event can concern; an event
    that names nothing concerns every target. Raises CalendarError with everything that is wrong, and
    ValueError for an unknown zone.
    """
    file = Path(path)
    local = zone_of(zone)
    found = Found(window)
    text = _text(file)
    # Imported when needed: most configurations name no calendar.
    if file.suffix.lower() in ICS:
        from ml.calendars import ics as calendar_ics

        calendar_ics.read(text, local, naming or {}, found)
    elif file.suffix.lower() in YAML:
        from ml.calendars import yaml_file as calendar_yaml

        calendar_yaml.read(text, local, naming or {}, found)
    else:
        found.wrong(0, "", "this is no known kind of calendar", "name it .ics, .yaml or .yml")
    if found.full:
        what = f"more than {MOST_OCCURRENCES} occurrences within {_days(window)} days"
        found.wrong(0, "", what, "keep fewer, or less frequent, events in it")
    if found.problems:
        raise CalendarError(str(path), found.problems)
    return sorted(found.events, key=lambda event: (event.start_s, event.end_s, event.name))


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        what = f"it cannot be read: {error.strerror or error}"
        raise _as_a_whole(file, what, "name a file that exists and is readable") from error
    if len(content) > MOST_BYTES:
        what = f"it is larger than {MOST_BYTES // 1_000_000} MB"
        raise _as_a_whole(file, what, "remove past events from it, or split it")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"byte {error.start} is not UTF-8"
        raise _as_a_whole(file, what, "save the file as UTF-8") from error


def _as_a_whole(file: Path, what: str, remedy: str) -> CalendarError:
    return CalendarError(str(file), [CalendarProblem(0, "", what, remedy)])


def _days(window: Window) -> str:
    return f"{(window.end_s - window.start_s) / 86400:.0f}"
