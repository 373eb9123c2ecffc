"""An iCalendar file (RFC 5545). The library icalendar reads it, recurring-ical-events repeats.

What an event concerns and brings is in X-UMBRA-FACTOR, X-UMBRA-ROUTERS, X-UMBRA-SERVICES (names separated by
commas); summaries and categories are not interpreted. A changed occurrence without such a property
has its series' ones. Left out are: cancelled events, events that take no time, and events that are marked as
free (TRANSP:TRANSPARENT) unless an X-UMBRA property says that they are meant.

Times without a zone and whole days are those of the calendar's X-WR-TIMEZONE, else of the zone given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import Any, Final
from zoneinfo import ZoneInfo

import icalendar
from recurring_ical_events import CalendarQuery

from ml.calendars.file import Found, Naming, factor_of, instead, targets_of
from ml.calendars.times import unix_s, zone_of

PREFIX: Final = "X-UMBRA-"
FACTOR: Final = PREFIX + "FACTOR"
MOST_A_DAY: Final = 96  # one each quarter of an hour: what comes more often is no event
TIMES: Final = ("DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID")
MARGIN: Final = timedelta(days=1)  # times without a zone are up to 14 h off until they have theirs
HOURS: Final = 24
LONGEST_MONTH: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, slots=True)
class _Claim:
    """What the X-UMBRA properties of an event say."""

    factor: float
    targets: tuple[str, ...]


def read(text: str, zone: ZoneInfo, naming: Naming, found: Found) -> None:
    """Add the calendar's occurrences, and what is wrong with it, to `found`."""
    try:
        calendars = icalendar.Calendar.from_ical(text, multiple=True)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        what = f"this is no iCalendar file: {_first_line(error)}"
        found.wrong(0, "", what, "export the calendar again")
        return
    if not calendars or any(one.name != "VCALENDAR" for one in calendars):
        found.wrong(0, "", "there is no VCALENDAR in it", "export the calendar again")
        return
    places = _places(text)
    for calendar in calendars:
        _calendar(calendar, places, zone, naming, found)


def _calendar(
    calendar: Any, places: Iterator[dict[str, int]], zone: ZoneInfo, naming: Naming, found: Found
) -> None:
    named = calendar.get("X-WR-TIMEZONE")
    if named is not None:
        try:
            zone = zone_of(str(named))
        except ValueError as error:
            found.wrong(0, "X-WR-TIMEZONE", f"{str(named)!r} is no time zone", str(error))
    before = len(found.problems)
    series: dict[str, _Claim] = {}
    for event in calendar.walk("VEVENT"):
        place = next(places, {})
        _check(event, place, zone, found)
        claim = _claim(event, place, naming, found)
        if claim is not None and "RECURRENCE-ID" not in event:
            series[str(event.get("UID", ""))] = claim
    if len(found.problems) > before:
        return
    window = found.window
    start = datetime.fromtimestamp(window.start_s, UTC) - MARGIN
    end = datetime.fromtimestamp(window.end_s, UTC) + MARGIN
    try:
        for one in CalendarQuery(calendar).series:
            for occurrence in one.between(start, end):
                _add(occurrence.as_component(False), series, zone, naming, found)
                if found.full:
                    return
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        what = f"its events cannot be repeated: {_first_line(error)}"
        found.wrong(0, "", what, "correct the rule, or leave the event out")


def _add(
    event: Any, series: Mapping[str, _Claim], zone: ZoneInfo, naming: Naming, found: Found
) -> None:
    claim = _claim(event, {}, naming, found) or series.get(str(event.get("UID", "")))
    if str(event.get("STATUS", "")).upper() == "CANCELLED":
        return
    if claim is None and str(event.get("TRANSP", "")).upper() == "TRANSPARENT":
        return
    name = str(event.get("SUMMARY", "")) or str(event.get("UID", "")) or "event"
    claim = claim or _Claim(1.0, ())
    start_s, end_s = unix_s(event.start, zone), unix_s(event.end, zone)
    found.add(name, start_s, end_s, claim.targets, claim.factor)


def _check(event: Any, place: Mapping[str, int], zone: ZoneInfo, found: Found) -> None:
    """What the libraries would guess, swap or hang on is refused."""

    def wrong(key: str, what: str, remedy: str) -> None:
        found.wrong(place.get(key, place.get("BEGIN", 0)), key, what, remedy)

    broken = {name: said for name, said in event.errors if name is None or name in TIMES}
    for name, said in broken.items():
        wrong(name or "", f"this cannot be read: {said}", "correct it as RFC 5545 says")
    if broken:
        return
    if "DTSTART" not in event:
        wrong("DTSTART", "this property is missing", "say when the event starts")
        return
    for key in ("DTSTART", "DTEND", "RDATE", "EXDATE", "RECURRENCE-ID"):
        for value in _all(event, key):
            named = getattr(value, "params", {}).get("TZID")
            moment = getattr(value, "dt", None)
            if named and isinstance(moment, datetime) and moment.tzinfo is None:
                remedy = "use an IANA name such as Europe/Berlin, or add its VTIMEZONE"
                wrong(key, f"the time zone {str(named)!r} is not known", remedy)
                return
    start = event["DTSTART"].dt
    if "DTEND" in event:
        end = event["DTEND"].dt
        if isinstance(start, datetime) != isinstance(end, datetime):
            wrong("DTEND", "DTSTART and DTEND are not alike", "write two days, or two times")
        elif unix_s(end, zone) < unix_s(start, zone):
            wrong("DTEND", "it ends before it starts", "make DTEND later than DTSTART")
    elif "DURATION" in event and event["DURATION"].dt < timedelta(0):
        wrong("DURATION", "it ends before it starts", "write a duration above 0")
    takes_time = "DTEND" in event or "DURATION" in event or not isinstance(start, datetime)
    if not takes_time and FACTOR in event:
        wrong(FACTOR, "the event takes no time", "give it DTEND or DURATION")
    for rule in _all(event, "RRULE"):
        problem = _rule_problem(rule, start)
        if problem:
            wrong("RRULE", *problem)


def _rule_problem(rule: Mapping[str, list[Any]], start: date) -> tuple[str, str] | None:
    frequency = str((rule.get("FREQ") or [""])[0]).upper()
    if frequency not in ("HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"):
        what = f"an event that repeats {frequency or 'without FREQ'} is no planned event"
        return what, "repeat it hourly or less often"
    if any(interval < 1 for interval in rule.get("INTERVAL", [1])):
        return "INTERVAL is below 1", "write 1 or more"
    hours = len(rule.get("BYHOUR", ())) or (HOURS if frequency == "HOURLY" else 1)
    a_day = hours * max(1, len(rule.get("BYMINUTE", ()))) * max(1, len(rule.get("BYSECOND", ())))
    if a_day > MOST_A_DAY:
        return f"it repeats {a_day} times a day", f"at most {MOST_A_DAY} times are read"
    months, days = rule.get("BYMONTH"), rule.get("BYMONTHDAY")
    if months and days:
        longest = max(LONGEST_MONTH[(int(month) - 1) % 12] for month in months)
        if all(abs(int(day)) > longest for day in days):  # looked for until the year 9999
            return "it never comes: no such month has such a day", "correct BYMONTHDAY or BYMONTH"
    if frequency == "HOURLY" and not isinstance(start, datetime):
        return "a whole day repeats hourly", "give DTSTART a time"
    return None


def _claim(event: Any, place: Mapping[str, int], naming: Naming, found: Found) -> _Claim | None:
    """None when the event has no X-UMBRA property, or a wrong one."""
    own = [key for key in event if key.upper().startswith(PREFIX)]
    if not own:
        return None
    kinds = {PREFIX + kind.upper(): kind for kind in naming}
    factor, targets = 1.0, dict[str, None]()
    for key in own:
        line = place.get(key.upper(), place.get("BEGIN", 0))
        texts = [str(value).strip() for value in _all(event, key)]
        try:
            if key.upper() == FACTOR:
                if len(texts) > 1:
                    raise ValueError("it is here twice; keep one of them")
                factor = _factor(texts[0])
            elif key.upper() in kinds:
                names = chain.from_iterable(text.replace("\\", "").split(",") for text in texts)
                wanted = [name.strip() for name in names if name.strip()]
                kind = kinds[key.upper()]
                targets.update(dict.fromkeys(targets_of(wanted, kind, naming)))
            else:
                raise ValueError(f"unknown property; {instead(key.upper(), (FACTOR, *kinds))}")
        except ValueError as error:
            what, _, remedy = str(error).partition("; ")
            found.wrong(line, key, what, remedy)
            return None
    return _Claim(factor, tuple(targets))


def _factor(text: str) -> float:
    try:
        return factor_of(text)
    except ValueError as error:
        raise ValueError(f"{text!r} does not fit; {error}") from None


def _all(event: Any, key: str) -> list[Any]:
    """A property's values, each once where it may be repeated."""
    value = event.get(key)
    values = value if isinstance(value, list) else [] if value is None else [value]
    return list(chain.from_iterable(getattr(one, "dts", [one]) for one in values))


def _places(text: str) -> Iterator[dict[str, int]]:
    """Of each VEVENT, in the order of the file: property → its line; BEGIN → its first line."""
    place: dict[str, int] | None = None
    inner = 0  # within an alarm
    for number, line in enumerate(text.splitlines(), start=1):
        key = line.partition(":")[0].partition(";")[0].strip().upper()
        if line[:1] in (" ", "\t"):
            continue
        what = line.partition(":")[2].strip().upper()
        if key == "BEGIN" and what == "VEVENT":
            place, inner = {"BEGIN": number}, 0
        elif key == "END" and what == "VEVENT" and place is not None:
            yield place
            place = None
        elif key in ("BEGIN", "END"):
            inner += 1 if key == "BEGIN" else -1
        elif place is not None and inner == 0:
            place.setdefault(key, number)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
