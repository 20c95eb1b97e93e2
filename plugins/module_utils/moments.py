# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Moments as text: what people write, and the one form in which state files and results hold them."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import overload

_TIME = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})[T ](?P<time>\d{2}:\d{2})(:(?P<seconds>\d{2})(?:\.\d+)?)?\s*"
    r"(?P<zone>Z|[+-]\d{2}(?::?\d{2})?)?\Z",
    re.IGNORECASE,
)
_CANONICAL = "%Y-%m-%dT%H:%M:%SZ"


def parse_time(text: str) -> datetime:
    """Return the time that ``text`` names, in UTC, whole seconds.

    Raises:
        ValueError: when it is not an ISO 8601 date and time with its offset from UTC; the message says why.
    """
    found = _TIME.match(text.strip())
    if not found:
        raise ValueError("expected a date and time with an offset from UTC, such as 2026-11-24T22:00:00+01:00")
    if not found["zone"]:
        raise ValueError(
            "it has no time zone, so nobody could say when that is; add an offset from UTC, such as +01:00 or Z"
        )
    zone = found["zone"].upper()
    offset = "+00:00" if zone == "Z" else f"{zone[:3]}:{zone[3:].lstrip(':') or '00'}"
    try:
        moment = datetime.fromisoformat(f"{found['date']}T{found['time']}:{found['seconds'] or '00'}{offset}")
        return moment.astimezone(timezone.utc)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"there is no such time ({error})") from error


@overload
def render_time(moment: datetime) -> str: ...


@overload
def render_time(moment: None) -> None: ...


def render_time(moment: datetime | None) -> str | None:
    """Return the one form that state files have: 2026-11-24T21:00:00Z."""
    return None if moment is None else moment.astimezone(timezone.utc).strftime(_CANONICAL)
