"""What a calendar file means: which events, when, for whom."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.calendar_files import SPRING, event, ics, read
from ml.calendars.events import PlannedEvent, events_on, log_factors, seconds_to_next_start
from ml.calendars.file import Window


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
