"""A YAML calendar: a list of events.

    - name: sale
      start: 2026-11-27T09:00       # or a day, 2026-11-27: from its beginning
      end: 2026-11-27T21:00         # exclusive; of a day its beginning
      zone: Europe/Berlin           # of times without an offset
      services: [web]               # and routers: […]; nothing: everything
      factor: 3
      every: weekly                 # or daily, weekdays (Monday to Friday)
      until: 2026-12-24             # the last day on which it starts
      except: [2026-12-04]          # days on which it does not start

Every value is read as text by the key that it belongs to, so that no name turns into a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

import yaml

from ml.calendars.file import Found, Naming, factor_of, instead, targets_of
from ml.calendars.times import midnight, unix_s, zone_of

try:
    from yaml import CBaseLoader as _Loader
except ImportError:  # PyYAML without libyaml: the same, slower
    from yaml import BaseLoader as _Loader  # type: ignore[assignment]

EVERY: Final = ("daily", "weekly", "weekdays")
KEYS: Final = ("name", "start", "end", "factor", "every", "until", "zone", "except")
DAY: Final = timedelta(days=1)
WORKDAYS: Final = 5
DAY_LENGTH: Final = len("2026-07-01")
LAST_YEAR: Final = 9999

T = TypeVar("T")
Values: TypeAlias = "dict[str, tuple[str | list[str], int]]"  # key → value, line


@dataclass(frozen=True, slots=True)
class _Rule:
    """first, length: wall clock. every: one of EVERY, or "" for once."""

    first: datetime
    length: timedelta
    every: str
    until: date
    left_out: frozenset[date]

    def holds(self, day: date) -> bool:
        since = (day - self.first.date()).days
        if since < 0 or day > self.until:
            return False
        if self.every == "weekly":
            return since % 7 == 0
        if self.every == "weekdays":
            return day.weekday() < WORKDAYS
        return self.every == "daily" or since == 0

    def starts(self, first: date, last: date) -> Iterator[datetime]:
        """Wall-clock starts on the days from first to last."""
        if not self.every:
            yield self.first
            return
        day = max(first, self.first.date())
        while day <= min(last, self.until):
            if self.holds(day) and day not in self.left_out:
                yield datetime.combine(day, self.first.time(), self.first.tzinfo)
            day += DAY


class _Wrong(Exception):
    """key, what, remedy."""


def read(text: str, zone: ZoneInfo, naming: Naming, found: Found) -> None:
    """Add the calendar's occurrences, and what is wrong with it, to `found`."""
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        line = mark.line + 1 if mark is not None else 0
        found.wrong(line, "", f"this is not YAML: {what}", "correct the syntax here")
        return
    except RecursionError:
        found.wrong(0, "", "this is nested too deeply", "flatten it")
        return
    if root is None:
        return
    if not isinstance(root, yaml.SequenceNode):
        found.wrong(_line(root), "", "this is no list", "start every event with `- name:`")
        return
    seen: set[int] = set()
    for index, node in enumerate(root.value):
        if found.full:
            return
        place = f"[{index}]"
        if id(node) in seen or not isinstance(node, yaml.MappingNode):
            found.wrong(_line(node), place, "this is no event", "write `- name: …` and its keys")
            continue
        seen.add(id(node))
        before = len(found.problems)
        values = _values(node, place, naming, seen, found)
        if len(found.problems) > before:
            continue
        try:
            _event(values, zone, naming, found)
        except _Wrong as error:
            key, what, remedy = error.args
            line = values[key][1] if key in values else _line(node)
            found.wrong(line, f"{place}.{key}", what, remedy)


def _values(
    node: yaml.MappingNode, place: str, naming: Naming, seen: set[int], found: Found
) -> Values:
    known = (*KEYS, *naming)
    values: Values = {}
    for key_node, node_of_value in node.value:
        key, line = str(key_node.value), _line(key_node)
        where = f"{place}.{key}" if isinstance(key_node, yaml.ScalarNode) else place
        if not isinstance(key_node, yaml.ScalarNode) or key not in known:
            found.wrong(line, where, "unknown key", instead(key, known))
        elif key in values:
            what = f"this key is here a second time (first in line {values[key][1]})"
            found.wrong(line, where, what, "keep one of them")
        elif id(node_of_value) in seen:
            found.wrong(line, where, "aliases (*name) are not read", "write the value out")
        else:
            seen.add(id(node_of_value))
            wants_list = key == "except" or key in naming
            value = _list(node_of_value) if wants_list else _scalar(node_of_value)
            if value is None:
                kind = "a list, such as [a, b]" if wants_list else "one value"
                found.wrong(line, where, "what is written here does not fit", f"write {kind}")
            else:
                values[key] = value, line
    return values


def _scalar(node: yaml.Node) -> str | None:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else None


def _list(node: yaml.Node) -> list[str] | None:
    if not isinstance(node, yaml.SequenceNode):
        return None
    texts = [_scalar(item) for item in node.value]
    kept = [text for text in texts if text is not None]
    return kept if len(kept) == len(texts) else None


def _event(values: Values, zone: ZoneInfo, naming: Naming, found: Found) -> None:
    for key in ("name", "start", "end"):
        if key not in values:
            raise _Wrong(key, "this key is missing", "add it")
    name = _text(values, "name")
    if not name:
        raise _Wrong("name", "the name is empty", "give it one")
    if "zone" in values:
        zone = _checked(values, "zone", zone_of)
    factor = _checked(values, "factor", factor_of) if "factor" in values else 1.0
    targets: dict[str, None] = {}
    for kind in naming:
        if kind in values:
            try:
                targets.update(dict.fromkeys(targets_of(values[kind][0], kind, naming)))
            except ValueError as error:
                what, _, remedy = str(error).partition("; ")
                raise _Wrong(kind, what, remedy) from None
    rule = _rule(values, zone)
    window = found.window
    first = datetime.fromtimestamp(window.start_s, zone).date() - DAY - _days(rule.length)
    last = datetime.fromtimestamp(window.end_s, zone).date() + DAY
    for start in rule.starts(first, last):
        start_s, end_s = unix_s(start, zone), unix_s(start + rule.length, zone)
        found.add(name, start_s, end_s, tuple(targets), factor)
        if found.full:
            return


def _rule(values: Values, zone: ZoneInfo) -> _Rule:
    start, end = _moment(values, "start"), _moment(values, "end")
    timed = isinstance(start, datetime)
    if timed != isinstance(end, datetime):
        raise _Wrong("end", "start and end are not alike", "write two days, or two times")
    first = start if isinstance(start, datetime) else midnight(start)
    until = end if isinstance(end, datetime) else midnight(end)
    for key, moment in (("start", first), ("end", until)):
        if moment.tzinfo is not None and "zone" in values:
            raise _Wrong(key, "its zone is said twice", "leave out the offset, or the key zone")
        if moment.tzinfo is not None and "every" in values:
            what = "a repeated event goes by a wall clock, and an offset is none"
            raise _Wrong(key, what, "leave out the offset and write `zone: Europe/Berlin` or such")
    if (first.tzinfo is None) != (until.tzinfo is None):
        raise _Wrong("end", "only one of start and end has an offset", "write both alike")
    if unix_s(until, zone) <= unix_s(first, zone):
        remedy = "make end later" if timed else "end is exclusive: write the day after the last day"
        raise _Wrong("end", "it ends before it starts", remedy)
    if "every" not in values:
        for key in ("until", "except"):
            if key in values:
                raise _Wrong(key, "only a repeated event has it", "add `every`, or remove it")
        return _Rule(first, until - first, "", first.date(), frozenset())
    return _repeated(values, first, until - first)


def _repeated(values: Values, first: datetime, length: timedelta) -> _Rule:
    every = _text(values, "every")
    if every not in EVERY:
        raise _Wrong("every", f"{every!r} does not fit", f"write one of {', '.join(EVERY)}")
    if every == "weekdays" and first.weekday() >= WORKDAYS:
        raise _Wrong("start", "this is no weekday", "start it on a day from Monday to Friday")
    if length > (7 * DAY if every == "weekly" else DAY):
        raise _Wrong("end", "it would meet its own repetition", "make it shorter, or rarer")
    until = _day(values, "until", _text(values, "until")) if "until" in values else date.max
    if until < first.date():
        raise _Wrong("until", "this is before its start", "write the last day on which it starts")
    rule = _Rule(first, length, every, until, frozenset())
    days = values["except"][0] if "except" in values else []
    left_out = frozenset(_day(values, "except", text) for text in days)
    for day in sorted(left_out):
        if not rule.holds(day):
            raise _Wrong(
                "except", f"it does not start on {day} anyway", "correct or remove the day"
            )
    return _Rule(first, length, every, until, left_out)


def _moment(values: Values, key: str) -> date:
    """A day, or a time with or without an offset (then a datetime)."""
    text = _text(values, key)
    try:
        moment = (
            date.fromisoformat(text) if len(text) <= DAY_LENGTH else datetime.fromisoformat(text)
        )
        if not 1970 <= moment.year < LAST_YEAR:
            raise ValueError
    except ValueError:
        raise _Wrong(
            key, f"{text!r} is no time", "write 2026-07-01T18:00, or a day such as 2026-07-01"
        ) from None
    return moment


def _day(values: Values, key: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _Wrong(key, f"{text!r} is no day", "write a day such as 2026-07-01") from None


def _checked(values: Values, key: str, of: Callable[[str], T]) -> T:
    text = _text(values, key)
    try:
        return of(text)
    except ValueError as error:
        raise _Wrong(key, f"{text!r} does not fit", str(error)) from None


def _text(values: Values, key: str) -> str:
    return str(values[key][0])


def _days(length: timedelta) -> timedelta:
    return timedelta(days=length.days + 1)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
