# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far a deploy has come, as a line for the operator, and what its phases took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..moments import parse_time
from .lease import duration


def progress(plan: Mapping[str, Any], phase: str, lease: Mapping[str, Any] | None, now: datetime) -> str:
    """Return the line that tells which phase begins, how long the run has taken, and about how long the rest takes.

    What remains is the plan's estimate less what has passed, so it shrinks faster where drains end early.
    """
    parts = [f"{plan['application']} {plan['release'] or 'back'}", phase]
    if lease:
        passed = (now - parse_time(lease["taken_at"])).total_seconds()
        left = max(0.0, plan["needed_seconds"] - passed)
        parts.append(f"{duration(passed)} elapsed, at most about {duration(left)} remaining")
    return ">> " + " | ".join(parts)


def timings(lease: Mapping[str, Any], now: datetime) -> list[tuple[str, int]]:
    """Return the phases that have begun, with the seconds that each took."""
    begun: Sequence[tuple[str, datetime]] = [
        (str(phase["name"]), parse_time(phase["began_at"])) for phase in lease["phases"]
    ]
    ends = [*(at for _name, at in begun[1:]), now]
    return [(name, round((end - at).total_seconds())) for (name, at), end in zip(begun, ends)]


def summary(plan: Mapping[str, Any], lease: Mapping[str, Any], now: datetime) -> list[str]:
    """Return a table: what each phase took, and the whole."""
    took = timings(lease, now)
    width = max(len(name) for name, _seconds in took)
    total = sum(seconds for _name, seconds in took)
    return [
        f"{plan['application']} {plan['release'] or 'back'}: {duration(total)}",
        *(f"  {name.ljust(width)}  {seconds:5d} s" for name, seconds in took),
    ]
