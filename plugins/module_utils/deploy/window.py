# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When an application may be changed: windows that recur, freezes, and whether what is planned fits.

A window means what clocks show: one from 01:30 to 03:30 begins and ends when those of its time zone show that, also in
a night in which they are changed, and lasts an hour less or more then. That is what people were told, and what others
plan by. A time that the clocks skip is the moment at which they are set forward; one that they show twice is the first
of the two.
"""

from __future__ import annotations

import heapq
import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from ..moments import parse_time
from .lease import duration

try:
    from dateutil.rrule import rrule, rrulestr
except ImportError:
    DATEUTIL_IMPORT_ERROR = traceback.format_exc()
else:
    DATEUTIL_IMPORT_ERROR = ""

INSIDE, NO_WINDOWS, OUTSIDE, FROZEN, TOO_SHORT = "inside", "no_windows", "outside", "frozen", "too_short"

HORIZON_DAYS = 1830
"""How far ahead, in days, the next window is looked for: five years, so that one on each 29 February is found."""

MINUTES_MAX = 7 * 24 * 60
"""A window lasts a week at most. Longer ones are several, or none at all with freezes."""

UPCOMING_MAX = 100
"""How many of the next windows can be asked for."""

WAIT_STEP_SECONDS = 30.0

_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\Z")
_PART = re.compile(r"[A-Z]+=[A-Z0-9,+-]+\Z")
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_REFUSED = {
    "BYHOUR": "starts says when a window begins",
    "BYMINUTE": "starts says when a window begins",
    "BYSECOND": "starts says when a window begins",
    "UNTIL": "the option until says when the last one begins",
}
_DAYS = frozenset({"BYDAY", "BYMONTHDAY", "BYYEARDAY", "BYEASTER"})
_UTC = timezone.utc

OPTIONS: dict[str, Any] = {
    "windows": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "timezone": {"type": "str", "required": True},
            "starts": {"type": "str", "required": True},
            "duration_minutes": {"type": "int", "required": True},
            "rrule": {"type": "str", "default": "FREQ=DAILY"},
            "from": {"type": "str"},
            "until": {"type": "str"},
        },
    },
    "freezes": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "timezone": {"type": "str", "required": True},
            "from": {"type": "str", "required": True},
            "until": {"type": "str", "required": True},
            "reason": {"type": "str", "default": ""},
        },
    },
    "needed_seconds": {"type": "int", "default": 0},
    "at": {"type": "str"},
}
"""What the modules maintenance_window and maintenance_window_info have in common."""


class WindowError(Exception):
    """Windows, freezes or other options that cannot be; one line for each finding."""


@dataclass(frozen=True)
class Window:
    """Opens on the days of ``rule`` at ``starts`` by the clocks of ``zone``, for so many minutes on those clocks."""

    zone: ZoneInfo
    starts: time
    rule: str
    minutes: int
    first: date | None = None
    last: date | None = None


@dataclass(frozen=True)
class Freeze:
    """Keeps every window closed from ``starts`` up to ``ends``, both in UTC."""

    starts: datetime
    ends: datetime
    zone: ZoneInfo
    reason: str = ""


@dataclass(frozen=True)
class Span:
    """Time during which changes are allowed; moments in UTC, ``zone`` is whose clocks to tell them by.

    None for a moment means that there is no such end in sight.
    """

    starts: datetime | None
    ends: datetime | None
    zone: tzinfo

    def holds(self, moment: datetime) -> bool:
        """Whether the moment lies in it. The end does not."""
        return (self.starts is None or self.starts <= moment) and (self.ends is None or moment < self.ends)

    def fits(self, seconds: float, since: datetime) -> bool:
        """Whether so many seconds remain of it, at ``since`` or, if that is later, its start."""
        begin = since if self.starts is None else max(since, self.starts)
        return self.ends is None or (self.ends - begin).total_seconds() >= seconds


@dataclass(frozen=True)
class Calendar:
    """Windows and freezes. Without windows it is open, but for the freezes."""

    windows: tuple[Window, ...] = ()
    freezes: tuple[Freeze, ...] = ()


@dataclass(frozen=True)
class Answer:
    """Whether changes are allowed at a moment; ``following`` are later spans that are long enough, in their order."""

    at: datetime
    open: bool
    reason: str
    needed_seconds: int
    span: Span | None
    freeze: Freeze | None
    following: tuple[Span, ...]

    @property
    def remaining_seconds(self) -> int | None:
        """Seconds until what is open now ends; 0 when nothing is, None without an end in sight."""
        if self.span is None:
            return 0
        return None if self.span.ends is None else int((self.span.ends - self.at).total_seconds())


def parse_calendar(windows: Sequence[Mapping[str, Any]], freezes: Sequence[Mapping[str, Any]]) -> Calendar:
    """Return what a module's options say.

    Raises:
        WindowError: with one line for each value that cannot be.
    """
    findings: list[str] = []
    calendar = Calendar(
        tuple(_window(f"windows[{index}]", raw, findings) for index, raw in enumerate(windows)),
        tuple(_freeze(f"freezes[{index}]", raw, findings) for index, raw in enumerate(freezes)),
    )
    if findings:
        raise WindowError("\n".join(findings))
    return calendar


def _window(where: str, raw: Mapping[str, Any], findings: list[str]) -> Window:
    text, minutes = str(raw["starts"]), raw["duration_minutes"]
    if not _TIME.match(text):
        hint = ": put it in quotes, since YAML takes 22:00 for the number 1320" if text.isdigit() else ""
        findings.append(f'{where}.starts: {text!r}; expected a time such as "22:00"{hint}')
    if not 1 <= minutes <= MINUTES_MAX:
        findings.append(f"{where}.duration_minutes: {minutes}; expected 1 to {MINUTES_MAX} (a week)")
    first = _date(f"{where}.from", raw.get("from"), findings)
    last = _date(f"{where}.until", raw.get("until"), findings)
    if first and last and last < first:
        findings.append(f"{where}.until: {last} is before from, {first}; expected the last date on which it opens")
    rule = (raw.get("rrule") or "FREQ=DAILY").strip().upper()
    rule = rule[len("RRULE:") :] if rule.startswith("RRULE:") else rule
    findings += [f"{where}.rrule: {raw.get('rrule')!r}: {finding}" for finding in _rule_findings(rule, first)]
    opens = time.fromisoformat(text) if _TIME.match(text) else time()
    return Window(_zone(f"{where}.timezone", raw["timezone"], findings), opens, rule, minutes, first, last)


def _rule_findings(rule: str, first: date | None) -> list[str]:
    """Return what is wrong with the rule, so that what is right means one thing only."""
    parts = rule.split(";")
    if not all(_PART.match(part) for part in parts):
        return ['expected parts such as "FREQ=WEEKLY;BYDAY=TU,TH" (RFC 5545, RRULE)']
    keys: dict[str, str] = dict(part.split("=", 1) for part in parts)
    findings = [f"{key}: {why}; leave it out" for key, why in _REFUSED.items() if key in keys]
    frequency = keys.get("FREQ")
    if frequency not in _FREQUENCIES:
        findings.append(f"FREQ is {frequency}; expected one of {', '.join(_FREQUENCIES)}")
    elif first is None:
        if "COUNT" in keys or keys.get("INTERVAL", "1") != "1":
            findings.append("INTERVAL and COUNT are counted from the first date; name it with the option from")
        elif frequency != "DAILY" and not _DAYS & set(keys):
            findings.append(f"the day is missing; name it, for example with BYDAY, or the first date (from), in {rule}")
    if not findings:
        try:
            rrulestr(rule, dtstart=datetime(2000, 1, 1))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            findings.append(f"{error}; expected a rule such as FREQ=WEEKLY;BYDAY=TU,TH (RFC 5545, RRULE)")
    return findings


def _freeze(where: str, raw: Mapping[str, Any], findings: list[str]) -> Freeze:
    zone = _zone(f"{where}.timezone", raw["timezone"], findings)
    moments = []
    for key in ("from", "until"):
        try:
            local = datetime.fromisoformat(str(raw[key]).strip())
            if local.tzinfo is not None:
                raise ValueError("it has an offset, but timezone says by which clocks it is")
        except ValueError as error:
            findings.append(f'{where}.{key}: {raw[key]!r} ({error}); expected a date, or as "2026-12-20T18:00"')
            local = datetime(2000, 1, 1)
        moments.append(resolve(local, zone))
    if not findings and moments[0] >= moments[1]:
        findings.append(f"{where}.until: {raw['until']} is not after from, {raw['from']}; expected a later time")
    return Freeze(moments[0], moments[1], zone, raw.get("reason") or "")


def _date(where: str, text: str | None, findings: list[str]) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(str(text).strip())
    except ValueError:
        findings.append(f'{where}: {text!r}; expected a date such as "2026-11-24"')
        return None


def _zone(where: str, name: str, findings: list[str]) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        findings.append(
            f"{where}: {name!r}; expected a time zone such as Europe/Berlin or UTC, of those that the controller knows"
            " (package tzdata)"
        )
        return ZoneInfo("UTC")


def parse_at(text: str) -> datetime:
    """Return the moment asked about.

    Raises:
        WindowError: when it is none, or has no offset from UTC.
    """
    try:
        return parse_time(text)
    except ValueError as error:
        raise WindowError(f"at: {text!r}: {error}") from error


def resolve(local: datetime, zone: ZoneInfo) -> datetime:
    """Return when the clocks of ``zone`` first show ``local`` or, where they skip it, are set past it; in UTC."""
    early, late = (local.replace(tzinfo=zone, fold=fold).astimezone(_UTC) for fold in (0, 1))
    if early <= late:
        return early
    # Skipped: by the offset of before it is later than by that of after. The clocks are set forward in between.
    low, high = late, early
    offset = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        low, high = (middle, high) if middle.astimezone(zone).utcoffset() == offset else (low, middle)
    return high.replace(microsecond=0)


def occurrences(window: Window, since: datetime, until: datetime) -> Iterator[Span]:
    """Return the times at which a window is open, those included that begin up to its length before ``since``."""
    length = timedelta(minutes=window.minutes)
    earliest = _local(since, window.zone) - length - timedelta(days=1)
    latest = _local(until, window.zone)
    if window.last is not None:
        latest = min(latest, datetime.combine(window.last, time.max))
    # Without a first date it does not matter where counting begins, as long as a period of the rule does there.
    anchor = window.first or date(earliest.year - 1, 1, 1)
    for local in _days(window.rule, datetime.combine(anchor, window.starts), earliest, latest):
        starts, ends = resolve(local, window.zone), resolve(local + length, window.zone)
        if starts < ends:
            yield Span(starts, ends, window.zone)


def _days(rule: str, start: datetime, earliest: datetime, latest: datetime) -> Iterator[datetime]:
    found: rrule = rrulestr(rule, dtstart=start)
    for local in found:
        if local > latest:
            return
        if local >= earliest:
            yield local


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def spans(calendar: Calendar, since: datetime, until: datetime) -> Iterator[Span]:
    """Return when changes are allowed, in order: windows that touch are one, and freezes are taken out.

    All that end after ``since`` and begin before ``until`` are among them.
    """
    if calendar.windows:
        every = [occurrences(window, since, until) for window in calendar.windows]
        allowed = _merged(heapq.merge(*every, key=lambda span: (span.starts, span.ends)))
    else:
        allowed = iter([Span(None, None, _UTC)])
    freezes = sorted(calendar.freezes, key=lambda freeze: freeze.starts)
    for span in allowed:
        yield from (rest for rest in _without(span, freezes) if rest.ends is None or rest.ends > since)


def _merged(found: Iterable[Span]) -> Iterator[Span]:
    whole: Span | None = None
    for span in found:
        if whole is not None and whole.ends is not None and span.starts is not None and span.starts <= whole.ends:
            ends = whole.ends if span.ends is None else max(whole.ends, span.ends)
            whole = Span(whole.starts, ends, whole.zone)
            continue
        if whole is not None:
            yield whole
        whole = span
    if whole is not None:
        yield whole


def _without(span: Span, freezes: Sequence[Freeze]) -> Iterator[Span]:
    """Return what freezes, sorted by their start, leave of a span."""
    starts = span.starts
    zone = span.zone
    for freeze in freezes:
        if span.ends is not None and freeze.starts >= span.ends:
            break
        if starts is not None and freeze.ends <= starts:
            continue
        if starts is None or freeze.starts > starts:
            yield Span(starts, freeze.starts, zone)
        starts = freeze.ends
        # Where nothing else says by which clocks, those of the freeze do.
        zone = zone if span.starts is not None else freeze.zone
    if starts is None or span.ends is None or starts < span.ends:
        yield Span(starts, span.ends, zone)


def ask(calendar: Calendar, at: datetime, needed_seconds: int = 0, upcoming: int = 1) -> Answer:
    """Return whether changes that take ``needed_seconds`` may begin at ``at``, and the ``upcoming`` next times.

    Raises:
        WindowError: when ``needed_seconds`` or ``upcoming`` cannot be.
    """
    if needed_seconds < 0:
        raise WindowError(f"needed_seconds: {needed_seconds}; expected 0 or more")
    if not 1 <= upcoming <= UPCOMING_MAX:
        raise WindowError(f"count: {upcoming}; expected 1 to {UPCOMING_MAX}")
    current: Span | None = None
    following: list[Span] = []
    until = at + timedelta(days=HORIZON_DAYS)
    for span in spans(calendar, at, until):
        if span.holds(at):
            current = span
        elif span.fits(needed_seconds, at):
            following.append(span)
            if len(following) == upcoming:
                break
    freeze = next((freeze for freeze in calendar.freezes if freeze.starts <= at < freeze.ends), None)
    fits = current is not None and current.fits(needed_seconds, at)
    if freeze is not None:
        reason = FROZEN
    elif current is None:
        reason = OUTSIDE
    elif not fits:
        reason = TOO_SHORT
    else:
        reason = INSIDE if calendar.windows else NO_WINDOWS
    return Answer(at, fits, reason, needed_seconds, current, freeze, tuple(following))


def wait_open(
    calendar: Calendar,
    needed_seconds: int,
    timeout_seconds: int,
    clock: Callable[[], datetime],
    pause: Callable[[float], None],
) -> Answer:
    """Wait until changes are allowed, and return the last answer: open, or not when waiting is of no use.

    It is of none when the next time begins after ``timeout_seconds``, or when there is none. The clock is asked again
    and again, since a controller may be suspended or its clock set.

    Raises:
        WindowError: as ``ask``, and when ``timeout_seconds`` is below 1.
    """
    if timeout_seconds < 1:
        raise WindowError(f"wait_timeout_seconds: {timeout_seconds}; expected 1 or more")
    deadline = clock() + timedelta(seconds=timeout_seconds)
    while True:
        answer = ask(calendar, clock(), needed_seconds)
        begins = answer.following[0].starts if answer.following else None
        if answer.open or begins is None or begins > deadline:
            return answer
        pause(min(WAIT_STEP_SECONDS, max(0.1, (begins - clock()).total_seconds())))


def as_dict(span: Span | None) -> dict[str, str | None] | None:
    """Return a span as modules return it: moments in ISO 8601, by the clocks of its time zone; None without an end."""
    if span is None:
        return None
    return {
        key: None if moment is None else moment.astimezone(span.zone).isoformat(timespec="seconds")
        for key, moment in (("starts", span.starts), ("ends", span.ends))
    }


def report(answer: Answer) -> dict[str, Any]:
    """Return the answer as modules return it."""
    return {
        "open": answer.open,
        "reason": answer.reason,
        "window": as_dict(answer.span),
        "next": as_dict(answer.following[0]) if answer.following else None,
        "remaining_seconds": answer.remaining_seconds,
    }


def describe(answer: Answer) -> str:
    """Return the answer as sentences that name the next window, in its own time zone and in UTC."""
    needed = duration(answer.needed_seconds)
    if answer.open:
        found = "No windows are declared, so it is open" if answer.reason == NO_WINDOWS else "Inside the window"
        span = answer.span
        if span is None or answer.remaining_seconds is None:
            return f"{found}."
        return f"{found} {_told(span)}; {duration(answer.remaining_seconds)} remain."
    if answer.freeze is not None:
        why = f" ({answer.freeze.reason})" if answer.freeze.reason else ""
        found = f"Frozen{why}: {_told(Span(answer.freeze.starts, answer.freeze.ends, answer.freeze.zone))}."
    elif answer.span is not None:
        found = (
            f"Too late: {needed} are needed, but {duration(answer.remaining_seconds or 0)} remain of the window"
            f" {_told(answer.span)}."
        )
    else:
        found = f"Outside the windows at {_by_clock(answer.at, _UTC)} UTC."
    if not answer.following:
        return f"{found} There is no window of {needed} or more in the next {HORIZON_DAYS // 366} years."
    begins = answer.following[0].starts
    ahead = f", in {duration((begins - answer.at).total_seconds())}" if begins else ""
    return f"{found} The next window is {_told(answer.following[0])}{ahead}."


def _told(span: Span) -> str:
    name = str(span.zone)
    here = _between(span, span.zone)
    return f"{here} {name}" if name == "UTC" else f"{here} {name} ({_between(span, _UTC)} UTC)"


def _between(span: Span, zone: tzinfo) -> str:
    if span.starts is None or span.ends is None:
        begin = "" if span.starts is None else f"from {_by_clock(span.starts, zone)}"
        end = "" if span.ends is None else f"until {_by_clock(span.ends, zone)}"
        return f"{begin}{end}"
    starts, ends = span.starts.astimezone(zone), span.ends.astimezone(zone)
    same_day = starts.date() == ends.date()
    return f"{_by_clock(starts, zone)} to {ends.strftime('%H:%M') if same_day else _by_clock(ends, zone)}"


def _by_clock(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).strftime("%a %Y-%m-%d %H:%M")
