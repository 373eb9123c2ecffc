"""When planned events are: zones, changes of the clock, and what repeats."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.calendar_files import AUTUMN, SPRING, event, ics, read
from ml.calendars.events import PlannedEvent, events_on
from ml.calendars.file import Window

BERLIN = ZoneInfo("Europe/Berlin")
HOME = """\
BEGIN:VTIMEZONE
TZID:Home
BEGIN:STANDARD
DTSTART:19701025T030000
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19700329T020000
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
END:VTIMEZONE
"""


def spans(events: list[PlannedEvent], zone: ZoneInfo = BERLIN) -> list[tuple[str, str]]:
    def shown(time_s: float) -> str:
        return f"{datetime.fromtimestamp(time_s, zone):%m-%d %H:%M}"

    return [(shown(one.start_s), shown(one.end_s)) for one in events]


def test_a_nightly_event_keeps_its_wall_clock_when_the_clock_changes(tmp_path: Path) -> None:
    text = ics(
        event(
            "DTSTART;TZID=Europe/Berlin:20260327T220000",
            "DTEND;TZID=Europe/Berlin:20260328T040000",
            "RRULE:FREQ=DAILY;COUNT=3",
        )
    )
    found = read(tmp_path, text)
    assert spans(found) == [
        ("03-27 22:00", "03-28 04:00"),
        ("03-28 22:00", "03-29 04:00"),
        ("03-29 22:00", "03-30 04:00"),
    ]
    assert [one.end_s - one.start_s for one in found] == [6 * 3600, 5 * 3600, 6 * 3600]


@pytest.mark.parametrize("kind", ["ics", "yaml"])
def test_a_time_that_the_clock_skips_comes_an_hour_later_and_a_double_one_at_first(
    tmp_path: Path, kind: str
) -> None:
    def at(day: str, start: str, end: str) -> str:
        if kind == "ics":
            compact = day.replace("-", "")
            return ics(
                event(
                    f"DTSTART;TZID=Europe/Berlin:{compact}T{start.replace(':', '')}00",
                    f"DTEND;TZID=Europe/Berlin:{compact}T{end.replace(':', '')}00",
                )
            )
        return f"- {{name: x, start: '{day}T{start}', end: '{day}T{end}', zone: Europe/Berlin}}\n"

    (skipped,) = read(tmp_path, at("2026-03-29", "02:30", "04:00"), kind)
    assert skipped.start_s == datetime(2026, 3, 29, 1, 30, tzinfo=UTC).timestamp()
    (double,) = read(tmp_path, at("2026-10-25", "02:30", "04:00"), kind, now_s=AUTUMN)
    assert double.start_s == datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()
    assert double.end_s - double.start_s == 2.5 * 3600


@pytest.mark.parametrize(
    ("head", "zone"), [("X-WR-TIMEZONE:Europe/Berlin\n", "UTC"), ("", "Europe/Berlin")]
)
def test_whole_days_and_times_without_a_zone_are_those_of_the_calendar(
    tmp_path: Path, head: str, zone: str
) -> None:
    body = event("DTSTART;VALUE=DATE:20260329") + event(
        "DTSTART:20260330T100000", "DURATION:PT1H", uid="2"
    )
    found = read(tmp_path, ics(body, head), zone=zone)
    assert spans(found) == [("03-29 00:00", "03-30 00:00"), ("03-30 10:00", "03-30 11:00")]
    assert found[0].end_s - found[0].start_s == 23 * 3600


def test_a_zone_that_the_calendar_defines_itself_is_followed(tmp_path: Path) -> None:
    body = event("DTSTART;TZID=Home:20260328T200000", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=2")
    found = read(tmp_path, ics(body, HOME))
    assert spans(found) == [("03-28 20:00", "03-28 21:00"), ("03-29 20:00", "03-29 21:00")]


def test_left_out_added_moved_and_cancelled_occurrences(tmp_path: Path) -> None:
    zone = ";TZID=Europe/Berlin:"
    series = event(
        f"DTSTART{zone}20260323T200000",
        "DURATION:PT1H",
        "RRULE:FREQ=DAILY;COUNT=4",
        f"EXDATE{zone}20260324T200000",
        f"RDATE{zone}20260402T100000",
        "X-UMBRA-FACTOR:3",
    )
    moved = event(
        f"RECURRENCE-ID{zone}20260325T200000", f"DTSTART{zone}20260325T210000", "DURATION:PT2H"
    )
    cancelled = event(
        f"RECURRENCE-ID{zone}20260326T200000",
        f"DTSTART{zone}20260326T200000",
        "DURATION:PT1H",
        "STATUS:CANCELLED",
    )
    found = read(tmp_path, ics(series + moved + cancelled))
    assert spans(found) == [
        ("03-23 20:00", "03-23 21:00"),
        ("03-25 21:00", "03-25 23:00"),
        ("04-02 10:00", "04-02 11:00"),
    ]
    assert {one.expected_factor for one in found} == {3.0}  # the moved one is of the series


# A repeated event by its wall clock. Minutes of the day avoid the hours that clocks skip or repeat,
# which have tests of their own.
AWAKE = st.integers(4 * 4, 24 * 4 - 1).map(lambda quarter: quarter * 15)
ZONES = st.sampled_from(["Europe/Berlin", "America/New_York", "UTC", "Asia/Kolkata"])


@st.composite
def repeated(draw: st.DrawFn) -> tuple[float, date, int, int, str, str, list[date]]:
    """Now, first day, minute of its start, minutes, every, zone, days left out."""
    now_s = draw(st.sampled_from([SPRING, AUTUMN]))
    every = draw(st.sampled_from(["daily", "weekly", "weekdays"]))
    first = datetime.fromtimestamp(now_s, UTC).date() + timedelta(days=draw(st.integers(-20, 5)))
    while every == "weekdays" and first.weekday() >= 5:
        first += timedelta(days=1)
    start = draw(AWAKE)
    minutes = draw(st.integers(1, (24 * 60 - start) // 15)) * 15
    days = [first + timedelta(days=number) for number in range(40)]
    on = [day for day in days if held(day, first, every)]
    left_out = draw(st.lists(st.sampled_from(on), max_size=2, unique=True))
    return now_s, first, start, minutes, every, draw(ZONES), left_out


def held(day: date, first: date, every: str) -> bool:
    since = (day - first).days
    if every == "weekly":
        return since >= 0 and since % 7 == 0
    return since >= 0 and (every == "daily" or day.weekday() < 5)


def as_yaml(case: tuple[float, date, int, int, str, str, list[date]]) -> str:
    _, first, start, minutes, every, zone, left_out = case
    begin = datetime.combine(first, datetime.min.time()) + timedelta(minutes=start)
    end = begin + timedelta(minutes=minutes)
    return (
        f"- {{name: x, start: '{begin.isoformat()}', end: '{end.isoformat()}', factor: 2, "
        f"services: [web], every: {every}, zone: {zone}, "
        f"except: [{', '.join(map(str, left_out))}]}}\n"
    )


def as_ics(case: tuple[float, date, int, int, str, str, list[date]]) -> str:
    _, first, start, minutes, every, zone, left_out = case
    begin = datetime.combine(first, datetime.min.time()) + timedelta(minutes=start)
    rules = {"daily": "DAILY", "weekly": "WEEKLY", "weekdays": "WEEKLY;BYDAY=MO,TU,WE,TH,FR"}
    lines = [
        "SUMMARY:x",
        f"DTSTART;TZID={zone}:{begin:%Y%m%dT%H%M%S}",
        f"DTEND;TZID={zone}:{begin + timedelta(minutes=minutes):%Y%m%dT%H%M%S}",
        f"RRULE:FREQ={rules[every]}",
        "X-UMBRA-FACTOR:2",
        "X-UMBRA-SERVICES:web",
        *(f"EXDATE;TZID={zone}:{day:%Y%m%d}T{begin:%H%M%S}" for day in left_out),
    ]
    return ics(event(*lines))


@settings(max_examples=40, deadline=None)
@given(repeated())
def test_at_any_moment_an_event_is_on_exactly_if_the_wall_clock_says_so(
    tmp_path_factory: pytest.TempPathFactory,
    case: tuple[float, date, int, int, str, str, list[date]],
) -> None:
    now_s, first, start, minutes, every, zone, left_out = case
    directory = tmp_path_factory.getbasetemp()
    found = read(directory, as_yaml(case), "yaml", now_s)
    assert found == read(directory, as_ics(case), "ics", now_s)
    window, local = Window.around(now_s), ZoneInfo(zone)
    moments_s = np.arange(window.start_s, window.end_s, 900.0)
    expected = []
    for moment_s in moments_s.tolist():
        wall = datetime.fromtimestamp(moment_s, local)
        minute = wall.hour * 60 + wall.minute
        day = wall.date()
        meant = held(day, first, every) and day not in left_out
        expected.append(meant and start <= minute < start + minutes)
    on = events_on(found, ["r1"] * len(moments_s), moments_s) > 0
    assert on.tolist() == expected
    assert {one.targets for one in found} <= {("r1", "r2")}
