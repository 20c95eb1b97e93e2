# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What people write as a moment is one, or is refused."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.moments import parse_time, render_time
from hypothesis import given
from hypothesis import strategies as st

zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1971, 1, 2), datetime(2200, 1, 1), timezones=zones)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-24T22:00:00+01:00", "2026-11-24T21:00:00Z"),
        ("2026-11-24 22:00:00+01:00", "2026-11-24T21:00:00Z"),
        ("2026-11-24T22:00Z", "2026-11-24T22:00:00Z"),
        ("2026-11-24t22:00z", "2026-11-24T22:00:00Z"),
        ("2026-11-24T22:00:00.75-0330", "2026-11-25T01:30:00Z"),
        ("2026-11-24T22:00+05", "2026-11-24T17:00:00Z"),
        (" 2026-02-28T23:30:00-01:00 ", "2026-03-01T00:30:00Z"),
    ],
)
def test_a_time_with_its_offset_is_one_moment(text: str, utc: str) -> None:
    assert render_time(parse_time(text)) == utc


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026-11-24T22:00:00", "has no time zone"),
        ("2026-11-24 22:00", "has no time zone"),
        ("2026-11-24", "expected a date and time"),
        ("22:00+01:00", "expected a date and time"),
        ("tomorrow", "expected a date and time"),
        ("2026-11-24T22:00:00+01:00; rm", "expected a date and time"),
        ("2026-02-30T22:00:00Z", "there is no such time"),
        ("2026-11-24T25:00:00Z", "there is no such time"),
        ("0001-01-01T00:00:00+10:00", "there is no such time"),
        ("2026-11-24T22:00:00 Europe/Berlin", "expected a date and time"),
    ],
)
def test_what_is_not_one_moment_is_refused(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_time(text)


@given(moments)
def test_any_moment_is_read_back(moment: datetime) -> None:
    assert parse_time(moment.isoformat()) == moment.astimezone(timezone.utc).replace(microsecond=0)
