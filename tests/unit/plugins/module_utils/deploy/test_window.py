# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When changes are allowed: days, midnight, both changes of the clocks, freezes, too little time, waiting."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.deploy.window import (
    Answer,
    Calendar,
    WindowError,
    as_dict,
    ask,
    describe,
    parse_at,
    parse_calendar,
    resolve,
    wait_open,
)
from hypothesis import given
from hypothesis import strategies as st

BERLIN = ZoneInfo("Europe/Berlin")
UTC = timezone.utc


def window(starts: str = "22:00", minutes: int = 120, zone: str = "Europe/Berlin", **more: Any) -> dict[str, Any]:
    return {"timezone": zone, "starts": starts, "duration_minutes": minutes, **more}


def freeze(begin: str, end: str, zone: str = "Europe/Berlin", reason: str = "") -> dict[str, Any]:
    return {"timezone": zone, "from": begin, "until": end, "reason": reason}


def asked(at: str, *windows: dict[str, Any], freezes: tuple[dict[str, Any], ...] = (), needed: int = 0) -> Answer:
    return ask(parse_calendar(windows, freezes), parse_at(at), needed)


TUESDAYS = window(rrule="FREQ=WEEKLY;BYDAY=TU,TH")


@pytest.mark.parametrize(
    ("at", "reason", "remaining", "following"),
    [
        # 24 November 2026 is a Tuesday. The end of a window is not in it.
        ("2026-11-24T21:59:59+01:00", "outside", 0, "2026-11-24T22:00:00+01:00"),
        ("2026-11-24T22:00:00+01:00", "inside", 7200, "2026-11-26T22:00:00+01:00"),
        ("2026-11-24T21:00:00Z", "inside", 7200, "2026-11-26T22:00:00+01:00"),
        ("2026-11-24T23:59:59+01:00", "inside", 1, "2026-11-26T22:00:00+01:00"),
        ("2026-11-25T00:00:00+01:00", "outside", 0, "2026-11-26T22:00:00+01:00"),
        ("2026-11-25T22:30:00+01:00", "outside", 0, "2026-11-26T22:00:00+01:00"),
    ],
)
def test_days_and_hours_are_those_of_its_time_zone(at: str, reason: str, remaining: int, following: str) -> None:
    answer = asked(at, TUESDAYS)
    assert (answer.open, answer.reason, answer.remaining_seconds) == (reason == "inside", reason, remaining)
    assert (as_dict(answer.following[0]) or {})["starts"] == following


@pytest.mark.parametrize("at", ["2026-11-24T23:30:00+01:00", "2026-11-25T01:59:00+01:00"])
def test_a_window_goes_past_midnight(at: str) -> None:
    answer = asked(at, window("23:00", 180, rrule="FREQ=WEEKLY;BYDAY=TU"))
    assert answer.open
    assert as_dict(answer.span) == {"starts": "2026-11-24T23:00:00+01:00", "ends": "2026-11-25T02:00:00+01:00"}


# In Berlin, 02:00 to 03:00 is skipped on 29 March 2026, and shown twice on 25 October 2026.
@pytest.mark.parametrize(
    ("day", "starts", "minutes", "begins", "ends"),
    [
        # Over the hour: by the clocks as long as always, in truth an hour less, or more.
        ("2026-03-29", "01:30", 120, "00:30", "01:30"),
        ("2026-10-25", "01:30", 120, "23:30", "02:30"),
        # Begins or ends within the hour.
        ("2026-03-29", "02:30", 120, "01:00", "02:30"),
        ("2026-03-29", "01:00", 90, "00:00", "01:00"),
        ("2026-10-25", "02:30", 120, "00:30", "03:30"),
        ("2026-10-25", "01:00", 90, "23:00", "00:30"),
        # Lies in the hour that is shown twice.
        ("2026-10-25", "02:15", 30, "00:15", "00:45"),
        # The days before and after.
        ("2026-03-28", "01:30", 120, "00:30", "02:30"),
        ("2026-03-30", "01:30", 120, "23:30", "01:30"),
        ("2026-10-26", "01:30", 120, "00:30", "02:30"),
    ],
)
def test_a_window_means_what_the_clocks_show(day: str, starts: str, minutes: int, begins: str, ends: str) -> None:
    calendar = parse_calendar([window(starts, minutes, **{"from": day, "until": day})], [])
    answer = ask(calendar, parse_at(day + "T00:00:00Z") - timedelta(days=1))
    (span,) = answer.following
    assert span.starts is not None
    assert span.ends is not None
    assert (span.starts.strftime("%H:%M"), span.ends.strftime("%H:%M")) == (begins, ends)
    for moment, open_then in ((span.starts, True), (span.ends, False)):
        assert ask(calendar, moment).open is open_then
        assert ask(calendar, moment - timedelta(seconds=1)).open is not open_then


def test_a_window_in_the_hour_that_is_skipped_is_left_out() -> None:
    answer = asked("2026-03-28T12:00:00Z", window("02:15", 30))
    assert as_dict(answer.following[0]) == {"starts": "2026-03-30T02:15:00+02:00", "ends": "2026-03-30T02:45:00+02:00"}


@pytest.mark.parametrize(("needed", "open_then"), [(3600, True), (3601, False)])
def test_time_that_the_clocks_skip_does_not_remain(needed: int, open_then: bool) -> None:
    answer = asked("2026-03-29T00:30:00Z", window("01:30", 120), needed=needed)
    assert (answer.open, answer.reason) == (open_then, "inside" if open_then else "too_short")


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)), st.sampled_from(["Europe/Berlin", "America/New_York"]))
def test_a_time_that_is_shown_is_when_clocks_show_it_first(local: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    moment = resolve(local, zone)
    shown = moment.astimezone(zone).replace(tzinfo=None)
    if shown != local:
        # Skipped: just before, clocks showed less.
        assert shown > local
        assert (moment - timedelta(seconds=2)).astimezone(zone).replace(tzinfo=None) < local
    else:
        assert (moment - timedelta(hours=1)).astimezone(zone).replace(tzinfo=None) != local


@pytest.mark.parametrize(
    ("offset", "zone"), [("+12:45", "Pacific/Chatham"), ("-02:30", "America/St_Johns"), ("Z", "UTC")]
)
def test_time_zones_may_be_odd(offset: str, zone: str) -> None:
    assert asked(f"2026-07-01T12:30:00{offset}", window("12:00", 60, zone=zone)).open


@pytest.mark.parametrize(
    ("needed", "reason", "following"),
    [
        (600, "inside", "2026-11-26T22:00:00+01:00"),
        (1200, "too_short", "2026-11-26T22:00:00+01:00"),
        (3 * 3600, "too_short", None),
    ],
)
def test_what_does_not_fit_may_not_begin(needed: int, reason: str, following: str | None) -> None:
    answer = asked("2026-11-24T23:50:00+01:00", TUESDAYS, needed=needed)
    assert (answer.open, answer.reason) == (reason == "inside", reason)
    assert [(as_dict(span) or {})["starts"] for span in answer.following] == ([following] if following else [])


FROZEN = freeze("2026-11-24T23:00", "2026-11-27", reason="Black Friday")


@pytest.mark.parametrize(
    ("at", "reason", "remaining"),
    [
        ("2026-11-24T22:30:00+01:00", "inside", 1800),
        ("2026-11-24T23:00:00+01:00", "frozen", 0),
        ("2026-11-26T22:30:00+01:00", "frozen", 0),
        # Frozen, though no window would be open.
        ("2026-11-25T12:00:00+01:00", "frozen", 0),
        ("2026-11-27T00:00:00+01:00", "outside", 0),
    ],
)
def test_a_freeze_closes_windows_and_cuts_them_off(at: str, reason: str, remaining: int) -> None:
    answer = asked(at, TUESDAYS, freezes=(FROZEN,))
    assert (answer.open, answer.reason, answer.remaining_seconds) == (reason == "inside", reason, remaining)
    assert (as_dict(answer.following[0]) or {})["starts"] == "2026-12-01T22:00:00+01:00"


def test_a_freeze_in_a_window_leaves_two() -> None:
    frozen = freeze("2026-11-24T22:30", "2026-11-24T23:00")
    answer = asked("2026-11-24T22:00:00+01:00", TUESDAYS, freezes=(frozen,))
    assert answer.remaining_seconds == 1800
    assert as_dict(answer.following[0]) == {"starts": "2026-11-24T23:00:00+01:00", "ends": "2026-11-25T00:00:00+01:00"}


def test_without_windows_it_is_open_but_for_freezes() -> None:
    answer = asked("2026-11-24T12:00:00Z", needed=9999999)
    assert (answer.open, answer.reason, answer.remaining_seconds) == (True, "no_windows", None)
    assert answer.following == ()
    frozen = (FROZEN, freeze("2026-12-20", "2027-01-03"))
    before = asked("2026-11-24T12:00:00Z", freezes=frozen, needed=9 * 3600)
    assert (before.open, before.reason, before.remaining_seconds) == (True, "no_windows", 10 * 3600)
    assert asked("2026-11-24T12:00:00Z", freezes=frozen, needed=11 * 3600).reason == "too_short"
    inside = asked("2026-11-26T12:00:00Z", freezes=frozen)
    assert (inside.open, inside.reason) == (False, "frozen")
    assert as_dict(inside.following[0]) == {"starts": "2026-11-27T00:00:00+01:00", "ends": "2026-12-20T00:00:00+01:00"}


def test_windows_that_touch_are_one() -> None:
    answer = asked("2026-11-24T21:30:00Z", window("22:00", 120), window("23:00", 90), window("00:30", 60), needed=9000)
    assert as_dict(answer.span) == {"starts": "2026-11-24T22:00:00+01:00", "ends": "2026-11-25T01:30:00+01:00"}
    assert answer.open


@pytest.mark.parametrize(
    ("rule", "first", "expected"),
    [
        ("FREQ=MONTHLY;BYDAY=1SU", None, ["2026-12-06", "2027-01-03", "2027-02-07"]),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", None, ["2026-11-30", "2026-12-31", "2027-01-31"]),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", None, ["2028-02-29"]),
        ("RRULE:FREQ=DAILY", None, ["2026-11-24", "2026-11-25", "2026-11-26"]),
        ("freq=daily", "2027-03-01", ["2027-03-01", "2027-03-02", "2027-03-03"]),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU", "2026-01-06", ["2026-11-24", "2026-12-08", "2026-12-22"]),
        ("FREQ=WEEKLY", "2026-01-06", ["2026-11-24", "2026-12-01", "2026-12-08"]),
        ("FREQ=DAILY;COUNT=2", "2026-11-24", ["2026-11-24", "2026-11-25"]),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", None, []),
    ],
)
def test_days_recur_by_the_rule(rule: str, first: str | None, expected: list[str]) -> None:
    calendar = parse_calendar([window(rrule=rule, **{"from": first})], [])
    answer = ask(calendar, parse_at("2026-11-24T12:00:00Z"), upcoming=3)
    assert [span.starts.date().isoformat() for span in answer.following if span.starts] == expected


def test_it_opens_last_on_the_last_date() -> None:
    late = window("23:30", 60, **{"from": "2026-11-24", "until": "2026-11-25"})
    calendar = parse_calendar([late], [])
    assert len(ask(calendar, parse_at("2026-11-01T00:00:00Z"), upcoming=9).following) == 2
    assert ask(calendar, parse_at("2026-11-26T00:15:00+01:00")).open
    assert ask(calendar, parse_at("2026-11-27T00:15:00+01:00")).following == ()


@given(
    at=st.datetimes(datetime(2026, 3, 1), datetime(2026, 11, 30)),
    starts=st.times().map(lambda moment: moment.strftime("%H:%M")),
    minutes=st.integers(1, 2000),
    needed=st.integers(0, 20000),
    frozen=st.tuples(st.integers(-3000, 3000), st.integers(1, 3000)),
)
def test_the_next_window_admits_and_the_second_before_does_not(
    at: datetime, starts: str, minutes: int, needed: int, frozen: tuple[int, int]
) -> None:
    begin = at + timedelta(minutes=frozen[0])
    end = begin + timedelta(minutes=frozen[1])
    freezes = [freeze(begin.isoformat(), end.isoformat(), "UTC")]
    calendar = parse_calendar([window(starts, minutes, rrule="FREQ=WEEKLY;BYDAY=MO,TH")], freezes)
    moment = at.replace(tzinfo=UTC)
    answer = ask(calendar, moment, needed)
    if answer.open:
        assert answer.span is not None
        assert answer.span.holds(moment)
        assert answer.remaining_seconds is not None
        assert answer.remaining_seconds >= needed
        assert not begin <= at < end
    for span in answer.following:
        assert span.starts is not None
        assert span.starts > moment
        assert ask(calendar, span.starts, needed).open
        assert not ask(calendar, span.starts - timedelta(microseconds=1), needed).open


class Clock:
    """A clock that only waiting moves."""

    def __init__(self, at: str) -> None:
        self.now = parse_at(at)
        self.pauses: list[float] = []

    def __call__(self) -> datetime:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += timedelta(seconds=seconds)


def test_it_waits_for_the_next_window() -> None:
    clock = Clock("2026-11-24T21:58:35+01:00")
    answer = wait_open(parse_calendar([TUESDAYS], []), 600, 3600, clock, clock.pause)
    assert answer.open
    assert answer.at == parse_at("2026-11-24T22:00:00+01:00")
    assert clock.pauses == [30.0, 30.0, 25.0]


def test_it_does_not_wait_when_open_or_in_vain() -> None:
    calendar = parse_calendar([TUESDAYS], [])
    for at, timeout, needed, open_then in (
        ("2026-11-24T22:30:00+01:00", 10, 0, True),
        ("2026-11-24T21:00:00+01:00", 3599, 0, False),
        ("2026-11-24T21:00:00+01:00", 3600, 7201, False),
    ):
        clock = Clock(at)
        assert wait_open(calendar, needed, timeout, clock, clock.pause).open is open_then
        assert clock.pauses == []


def test_a_controller_that_slept_through_a_window_waits_for_the_next() -> None:
    clock = Clock("2026-11-24T21:59:50+01:00")

    def suspended(seconds: float) -> None:
        clock.pause(seconds if clock.pauses else 3600)

    calendar = parse_calendar([window("22:00", 5), window("23:30", 5)], [])
    answer = wait_open(calendar, 0, 7200, clock, suspended)
    assert answer.open
    assert answer.at == parse_at("2026-11-24T23:30:00+01:00")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            asked("2026-11-24T22:30:00+01:00", TUESDAYS),
            "Inside the window Tue 2026-11-24 22:00 to Wed 2026-11-25 00:00 Europe/Berlin (Tue 2026-11-24 21:00 to"
            " 23:00 UTC); 1 h 30 min remain.",
        ),
        (
            asked("2026-11-24T21:00:00+01:00", TUESDAYS),
            "Outside the windows at Tue 2026-11-24 20:00 UTC. The next window is Tue 2026-11-24 22:00 to Wed 2026-11-25"
            " 00:00 Europe/Berlin (Tue 2026-11-24 21:00 to 23:00 UTC), in 1 h.",
        ),
        (
            asked("2026-11-24T23:50:00+01:00", TUESDAYS, needed=1200),
            "Too late: 20 min are needed, but 10 min remain of the window Tue 2026-11-24 22:00 to Wed 2026-11-25 00:00"
            " Europe/Berlin (Tue 2026-11-24 21:00 to 23:00 UTC). The next window is Thu 2026-11-26 22:00 to Fri"
            " 2026-11-27 00:00 Europe/Berlin (Thu 2026-11-26 21:00 to 23:00 UTC), in 1 d 22 h.",
        ),
        (
            asked("2026-11-25T12:00:00Z", window("12:30", 60, "UTC"), freezes=(FROZEN,)),
            "Frozen (Black Friday): Tue 2026-11-24 23:00 to Fri 2026-11-27 00:00 Europe/Berlin (Tue 2026-11-24 22:00 to"
            " Thu 2026-11-26 23:00 UTC). The next window is Fri 2026-11-27 12:30 to 13:30 UTC, in 2 d.",
        ),
        (
            asked("2026-11-25T12:00:00Z", freezes=(FROZEN,)),
            "Frozen (Black Friday): Tue 2026-11-24 23:00 to Fri 2026-11-27 00:00 Europe/Berlin (Tue 2026-11-24 22:00 to"
            " Thu 2026-11-26 23:00 UTC). The next window is from Fri 2026-11-27 00:00 Europe/Berlin (from Thu"
            " 2026-11-26 23:00 UTC), in 1 d 11 h.",
        ),
        (asked("2026-11-25T12:00:00Z"), "No windows are declared, so it is open."),
        (
            asked("2026-11-24T12:00:00Z", TUESDAYS, needed=10800),
            "Outside the windows at Tue 2026-11-24 12:00 UTC. There is no window of 3 h or more in the next 5 years.",
        ),
    ],
)
def test_the_answer_names_the_next_window_in_both_times(answer: Answer, told: str) -> None:
    assert describe(answer) == told


@pytest.mark.parametrize(
    ("bad", "finding"),
    [
        (window("1320"), r"windows\[0\].starts: \'1320\'; expected a time .*: put it in quotes"),
        (window("24:00"), r'windows\[0\].starts: \'24:00\'; expected a time such as "22:00"'),
        (window(minutes=0), r"windows\[0\].duration_minutes: 0; expected 1 to 10080 \(a week\)"),
        (window(minutes=10081), r"duration_minutes: 10081; expected"),
        (window(zone="Europe/Berlim"), r"windows\[0\].timezone: 'Europe/Berlim'; expected a time zone such as"),
        (window(zone="../../etc/passwd"), r"timezone: '../../etc/passwd'; expected"),
        (window(zone=""), r"timezone: ''; expected"),
        (window(rrule="every tuesday"), r"rrule: 'every tuesday': expected parts such as"),
        (window(rrule="FREQ=HOURLY"), r"FREQ is HOURLY; expected one of DAILY, WEEKLY, MONTHLY, YEARLY"),
        (window(rrule="BYDAY=TU"), r"FREQ is None; expected one of"),
        (window(rrule="FREQ=DAILY;BYHOUR=3"), r"BYHOUR: starts says when a window begins; leave it out"),
        (window(rrule="FREQ=DAILY;UNTIL=20270101"), r"UNTIL: the option until says"),
        (window(rrule="FREQ=WEEKLY;BYDAY=XX"), r"expected a rule such as FREQ=WEEKLY"),
        (window(rrule="FREQ=DAILY;WHEN=XX"), r"expected a rule such as FREQ=WEEKLY"),
        (window(rrule="FREQ=WEEKLY"), r"the day is missing; name it, for example with BYDAY"),
        (window(rrule="FREQ=WEEKLY;INTERVAL=2;BYDAY=TU"), r"INTERVAL and COUNT are counted from the first date"),
        (window(rrule="FREQ=DAILY;COUNT=2"), r"INTERVAL and COUNT are counted from the first date"),
        (window(**{"from": "24.11.2026"}), r"windows\[0\].from: '24.11.2026'; expected a date such as"),
        (window(**{"from": "2026-11-24", "until": "2026-11-23"}), r"until: 2026-11-23 is before from, 2026-11-24"),
    ],
)
def test_windows_that_cannot_be_are_named(bad: dict[str, Any], finding: str) -> None:
    with pytest.raises(WindowError, match=finding):
        parse_calendar([bad], [])


@pytest.mark.parametrize(
    ("bad", "finding"),
    [
        (freeze("2026-12-20", "2026-12-20"), r"freezes\[0\].until: 2026-12-20 is not after from, 2026-12-20"),
        (freeze("soon", "2026-12-20"), r"freezes\[0\].from: 'soon' .*expected a date, or as"),
        (freeze("2026-12-20T00:00+01:00", "2027-01-01"), r"from: .*it has an offset, but timezone says"),
        (
            freeze("2026-12-20", "2027-01-01", "CEST/Berlin"),
            r"freezes\[0\].timezone: 'CEST/Berlin'; expected a time zone",
        ),
    ],
)
def test_freezes_that_cannot_be_are_named(bad: dict[str, Any], finding: str) -> None:
    with pytest.raises(WindowError, match=finding):
        parse_calendar([], [bad])


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(WindowError) as caught:
        parse_calendar([window("x"), window(minutes=-1)], [freeze("x", "2026-12-20")])
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("call", "finding"),
    [
        (lambda: parse_at("2026-11-24T22:00:00"), r"at: '2026-11-24T22:00:00': it has no time zone"),
        (lambda: ask(Calendar(), datetime.now(UTC), -1), r"needed_seconds: -1; expected 0 or more"),
        (lambda: ask(Calendar(), datetime.now(UTC), 0, 0), r"count: 0; expected 1 to 100"),
        (lambda: wait_open(Calendar(), 0, 0, lambda: datetime.now(UTC), print), r"wait_timeout_seconds: 0; expected 1"),
    ],
)
def test_questions_that_cannot_be_are_named(call: Any, finding: str) -> None:
    with pytest.raises(WindowError, match=finding):
        call()


def test_an_unquoted_date_of_yaml_is_read() -> None:
    # Module options are text by then; this is what becomes of 2026-11-24.
    parsed = parse_calendar([window(**{"from": "2026-11-24"})], []).windows[0]
    assert (parsed.first, parsed.starts) == (date(2026, 11, 24), time(22))
