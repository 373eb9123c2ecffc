"""What a calendar file means: which events, when, for whom, and what is refused."""

from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.calendars import reader as calendars
from ml.calendars.events import PlannedEvent, events_on, log_factors, seconds_to_next_start
from ml.calendars.file import CalendarError, Window

NAMING = {
    "services": {"web": ("r1", "r2"), "mail": ("r3",)},
    "routers": {"r1": ("r1",), "r2": ("r2",), "r3": ("r3",)},
}
BERLIN = ZoneInfo("Europe/Berlin")
# Both contain a change of the clock in Europe and one in America (or lie close to it).
SPRING = datetime(2026, 3, 22, tzinfo=UTC).timestamp()
AUTUMN = datetime(2026, 10, 24, tzinfo=UTC).timestamp()
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


def refused(directory: Path, text: str, kind: str = "ics") -> str:
    with pytest.raises(CalendarError) as caught:
        read(directory, text, kind)
    return str(caught.value)


def spans(events: list[PlannedEvent], zone: ZoneInfo = BERLIN) -> list[tuple[str, str]]:
    def shown(time_s: float) -> str:
        return f"{datetime.fromtimestamp(time_s, zone):%m-%d %H:%M}"

    return [(shown(one.start_s), shown(one.end_s)) for one in events]


def test_an_event_of_a_calendar_says_when_for_whom_and_how_much(tmp_path: Path) -> None:
    text = ics(
        event(
            "SUMMARY:Match",
            "DTSTART;TZID=Europe/Berlin:20260325T200000",
            "DTEND;TZID=Europe/Berlin:20260325T220000",
            "X-UMBRA-FACTOR:2.5",
            "X-UMBRA-SERVICES:mail",
            "X-UMBRA-ROUTERS:r1, r2",
        )
    )
    start_s = datetime(2026, 3, 25, 19, tzinfo=UTC).timestamp()
    (found,) = read(tmp_path, text)
    assert found == PlannedEvent("Match", start_s, start_s + 7200, found.targets, 2.5)
    assert sorted(found.targets) == ["r1", "r2", "r3"]


def test_without_properties_an_event_concerns_everything_and_its_factor_is_one(
    tmp_path: Path,
) -> None:
    text = ics(event("SUMMARY:Sale x3", "CATEGORIES:web", "DTSTART;VALUE=DATE:20260325"))
    (found,) = read(tmp_path, text)
    assert (found.targets, found.expected_factor) == ((), 1.0)


def test_an_active_event_without_factor_can_be_told_from_none() -> None:
    on = PlannedEvent("x", 10.0, 20.0, ("a",))
    times_s = np.array([[5.0, 15.0], [5.0, 15.0]])
    assert events_on([on], ["a", "b"], times_s).tolist() == [[0.0, 1.0], [0.0, 0.0]]
    assert log_factors([on], ["a", "b"], times_s).tolist() == [[0.0, 0.0], [0.0, 0.0]]


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.integers(1, 20), st.sampled_from([(), ("a",), ("b",)])),
        max_size=8,
    ),
    st.lists(st.integers(-5, 75), min_size=1, max_size=4),
)
def test_the_wait_is_that_for_the_first_event_that_concerns_a_target(
    made: list[tuple[int, int, tuple[str, ...]]], times: list[int]
) -> None:
    plan = [PlannedEvent("x", start, start + long, targets) for start, long, targets in made]
    targets = ["a", "b", "c", "a"][: len(times)]
    waits = seconds_to_next_start(plan, targets, np.array(times, dtype=float))
    for target, time, wait in zip(targets, times, waits, strict=True):
        ahead = [e.start_s - time for e in plan if e.concerns(target) and e.start_s > time]
        assert wait == min(ahead) if ahead else np.isnan(wait)


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


def test_what_is_cancelled_free_or_takes_no_time_is_left_out(tmp_path: Path) -> None:
    when = ("DTSTART:20260325T100000Z", "DTEND:20260325T110000Z")
    body = (
        event(*when, "STATUS:CANCELLED", "X-UMBRA-FACTOR:2", uid="1")
        + event(*when, "TRANSP:TRANSPARENT", uid="2")
        + event("DTSTART:20260325T100000Z", uid="3")
        + event(*when, "SUMMARY:meant", "TRANSP:TRANSPARENT", "X-UMBRA-FACTOR:2", uid="4")
    )
    assert [one.name for one in read(tmp_path, ics(body))] == ["meant"]


def test_only_what_meets_the_window_is_there(tmp_path: Path) -> None:
    rule = "RRULE:FREQ=DAILY;UNTIL=20300101T000000Z"
    body = event("DTSTART:20200101T100000Z", "DURATION:PT1H", rule)
    window = Window.around(SPRING)
    found = read(tmp_path, ics(body))
    assert len(found) == 23
    assert all(window.meets(one.start_s, one.end_s) for one in found)
    long = event("DTSTART;VALUE=DATE:20260101", "DTEND;VALUE=DATE:20270101")
    assert len(read(tmp_path, ics(long))) == 1


WHEN = ("DTSTART:20260325T100000Z", "DTEND:20260325T110000Z")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (event(*WHEN, "X-UMBRA-FACTOR:lots"), ["plan.ics:9", "X-UMBRA-FACTOR", "'lots'", "2.5"]),
        (event(*WHEN, "X-UMBRA-FACTOR:-1"), ["X-UMBRA-FACTOR", "above 0"]),
        (event(*WHEN, "X-UMBRA-FACTOR:nan"), ["X-UMBRA-FACTOR", "above 0"]),
        (event(*WHEN, "X-UMBRA-FACTR:2"), ["unknown property", "did you mean `X-UMBRA-FACTOR`"]),
        (event(*WHEN, "X-UMBRA-SERVICES:wep"), ["no service 'wep'", "did you mean `web`"]),
        (event(*WHEN, "X-UMBRA-ROUTERS:"), ["X-UMBRA-ROUTERS", "no name"]),
        (event("DTSTART:2026T22Z"), ["plan.ics:7", "DTSTART", "cannot be read"]),
        (event("SUMMARY:x"), ["plan.ics:4", "DTSTART", "missing"]),
        (
            event("DTSTART;TZID=Nowhere/X:20260325T100000", "DURATION:PT1H"),
            ["'Nowhere/X' is not known", "IANA"],
        ),
        (
            event("DTSTART:20260325T100000Z", "DTEND:20260325T090000Z"),
            ["plan.ics:8", "DTEND", "ends before it starts"],
        ),
        (event("DTSTART:20260325T100000Z", "X-UMBRA-FACTOR:2"), ["takes no time"]),
        (event(*WHEN, "RRULE:FREQ=DALY"), ["plan.ics:9", "RRULE"]),
        (event(*WHEN, "RRULE:FREQ=DAILY;INTERVAL=0"), ["RRULE", "INTERVAL"]),
        (event(*WHEN, "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"), ["RRULE", "never comes"]),
        (event(*WHEN, "RRULE:FREQ=SECONDLY"), ["RRULE", "SECONDLY", "hourly"]),
        (event(*WHEN, "RRULE:FREQ=HOURLY;BYMINUTE=0,9,18,27,36"), ["120 times a day", "96"]),
    ],
)
def test_a_mistake_in_a_calendar_is_named_with_line_property_and_remedy(
    tmp_path: Path, body: str, said: list[str]
) -> None:
    message = refused(tmp_path, ics(body))
    for part in said:
        assert part in message, message
    assert ";" in message


GOOD = {"name": "sale", "start": "2026-03-25T10:00", "end": "2026-03-25T12:00"}


def entry(**more: str) -> str:
    return "\n".join(f"  {key}: {value}" for key, value in (GOOD | more).items()).replace(
        "  ", "- ", 1
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (entry(factr="2"), ["plan.yaml:4", "[0].factr", "unknown key", "did you mean `factor`"]),
        (entry(factor="0"), ["plan.yaml:4", "[0].factor", "'0'", "above 0"]),
        (entry(services="[wep]"), ["[0].services", "no service 'wep'", "did you mean `web`"]),
        (entry(services="web"), ["[0].services", "a list"]),
        (entry(start="tomorrow"), ["plan.yaml:2", "[0].start", "'tomorrow' is no time"]),
        (entry(end="2026-03-25T09:00"), ["plan.yaml:3", "ends before it starts"]),
        (entry(start="2026-03-25", end="2026-03-25"), ["the day after the last day"]),
        (entry(start="2026-03-25"), ["[0].end", "not alike"]),
        (entry(zone="Berlin"), ["[0].zone", "'Berlin'", "IANA"]),
        (entry(every="hourly"), ["[0].every", "daily, weekly, weekdays"]),
        (entry(every="weekdays", start="2026-03-22T10:00"), ["[0].start", "no weekday"]),
        (entry(every="daily", end="2026-03-27"), ["not alike"]),
        (entry(every="daily", end="2026-03-27T00:00"), ["its own repetition"]),
        (entry(every="daily", until="2026-03-01"), ["plan.yaml:5", "before its start"]),
        (entry(every="weekly", **{"except": "[2026-03-26]"}), ["does not start on 2026-03-26"]),
        (entry(until="2026-04-01"), ["[0].until", "only a repeated event"]),
        (entry(start="2026-03-25T10:00Z", zone="UTC"), ["said twice"]),
        (entry(every="daily", start="2026-03-25T10:00Z"), ["wall clock", "zone:"]),
        (entry(start="2026-03-25T10:00Z"), ["[0].end", "offset"]),
        (entry() + "\n  name: other", ["second time", "line 1"]),
        ("- name: x", ["[0].start", "missing"]),
        ("- name: &a x\n  start: *a", ["aliases"]),
        ("name: x", ["no list"]),
        ("- [1", ["not YAML"]),
        ("- 5", ["[0]", "no event"]),
        ("[" * 3000, ["plan.yaml"]),
    ],
)
def test_a_mistake_in_a_yaml_calendar_is_named_with_line_key_and_remedy(
    tmp_path: Path, text: str, said: list[str]
) -> None:
    message = refused(tmp_path, text, "yaml")
    for part in said:
        assert part in message, message
    assert ";" in message


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    message = refused(tmp_path, entry(factor="0") + "\n" + entry(every="never"), "yaml")
    assert "plan.yaml:4: [0].factor" in message
    assert "plan.yaml:8: [1].every" in message


def test_a_file_that_is_too_large_or_unfolds_too_far_is_refused(tmp_path: Path) -> None:
    hourly = [
        event("DTSTART:20260101T000000Z", "DURATION:PT5M", "RRULE:FREQ=HOURLY", uid=str(number))
        for number in range(19)
    ]
    assert len(read(tmp_path, ics("".join(hourly[:18])))) == 18 * 23 * 24
    assert "more than 10000 occurrences within 23 days" in refused(tmp_path, ics("".join(hourly)))
    assert "larger than 5 MB" in refused(tmp_path, "#" * 5_000_001, "yaml")


@pytest.mark.parametrize("text", ["", "hello", "BEGIN:VCALENDAR\n", "BEGIN:VEVENT\nEND:VEVENT\n"])
def test_what_is_no_calendar_is_refused(tmp_path: Path, text: str) -> None:
    assert "plan.ics" in refused(tmp_path, text)


def test_files_that_cannot_be_read_say_so(tmp_path: Path) -> None:
    with pytest.raises(CalendarError, match=r"none\.ics: it cannot be read"):
        calendars.read(tmp_path / "none.ics", Window.around(0.0))
    (tmp_path / "x.ics").write_bytes(b"\xff\xfe")
    with pytest.raises(CalendarError, match="not UTF-8"):
        calendars.read(tmp_path / "x.ics", Window.around(0.0))
    assert "no known kind" in refused(tmp_path, "", "txt")


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(
        ["RRULE:", "DTSTART:", "EXDATE:", "RDATE:", "X-UMBRA-FACTOR:", "DURATION:", ""]
    ),
    st.text(max_size=40),
    st.sampled_from(["ics", "yaml"]),
)
def test_no_text_makes_a_reader_fail_otherwise(
    tmp_path_factory: pytest.TempPathFactory, key: str, text: str, kind: str
) -> None:
    body = ics(event(*WHEN, key + text)) if kind == "ics" else text
    with contextlib.suppress(CalendarError):
        assert isinstance(read(tmp_path_factory.getbasetemp(), body, kind), list)


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
