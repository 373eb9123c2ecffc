"""What is refused of a calendar file, and how it is said."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.calendar_files import WHEN, event, ics, read
from ml.calendars import reader as calendars
from ml.calendars.file import CalendarError, Window


def refused(directory: Path, text: str, kind: str = "ics") -> str:
    with pytest.raises(CalendarError) as caught:
        read(directory, text, kind)
    return str(caught.value)


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
