# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a check says: its status, the evidence for it, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Status(Enum):
    """How one check ended, from best to worst."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"
    """The check could not run. It never counts as passed."""

    @property
    def rank(self) -> int:
        """0 for the best; what could not be looked at is worse than a known warning."""
        return _RANK[self]


_RANK = {Status.OK: 0, Status.WARNING: 1, Status.UNKNOWN: 2, Status.CRITICAL: 3}


@dataclass(frozen=True)
class Outcome:
    """What one attempt of a check found.

    ``measures`` holds the numbers behind the evidence, their unit in their name
    (``answer_ms``, ``used_percent``, ``days_left``). ``final`` says that trying again
    cannot change it: a missing library stays missing.
    """

    status: Status
    seen: str
    wanted: str
    message: str
    next_step: str = ""
    measures: Mapping[str, float] = field(default_factory=dict)
    final: bool = False


@dataclass(frozen=True)
class Finding:
    """One thing that a check with several levels looks at."""

    status: Status
    message: str
    next_step: str = ""


@dataclass(frozen=True)
class Result:
    """A check's last outcome together with what was checked and how long that took."""

    name: str
    type: str
    part: str
    target: str
    weight: float
    outcome: Outcome
    duration_ms: int
    attempts: int
    application: str = ""
    proves: tuple[str, ...] = ()
    warn_ms: float = 0
    """Milliseconds from which its answer is slow; 0 where that is not judged."""

    @property
    def status(self) -> Status:
        return self.outcome.status

    def as_dict(self) -> dict[str, Any]:
        """Plain data, as the module returns it and as reports hold it."""
        return {
            "name": self.name,
            "type": self.type,
            "part": self.part,
            "application": self.application,
            "proves": list(self.proves),
            "target": self.target,
            "weight": self.weight,
            "status": self.status.value,
            "seen": self.outcome.seen,
            "wanted": self.outcome.wanted,
            "message": self.outcome.message,
            "next_step": self.outcome.next_step,
            "measures": dict(self.outcome.measures),
            "duration_ms": self.duration_ms,
            "attempts": self.attempts,
            "warn_ms": self.warn_ms,
        }


class CouldNotRun(Exception):
    """A check has no means to look: a library or a program is missing, a file cannot be read.

    ``next_step`` says how to give it the means.
    """

    def __init__(self, message: str, next_step: str) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step


class Unreachable(Exception):
    """What was to be checked did not answer. ``message`` says in which way."""

    def __init__(self, message: str, next_step: str) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step


def judged(
    findings: list[Finding], *, seen: str, wanted: str, fine: str, measures: Mapping[str, float] | None = None
) -> Outcome:
    """The worst of several findings decides; the message names every one that is not fine."""
    wrong = sorted((f for f in findings if f.status is not Status.OK), key=lambda f: -f.status.rank)
    if not wrong:
        return Outcome(Status.OK, seen, wanted, fine, measures=measures or {})
    steps = list(dict.fromkeys(f.next_step for f in wrong if f.next_step))
    return Outcome(
        wrong[0].status,
        seen,
        wanted,
        "; ".join(f.message for f in wrong),
        "; ".join(steps),
        measures or {},
    )


def level(
    value: float,
    warn: float | None,
    crit: float | None,
    message: str,
    next_step: str,
    *,
    low_is_bad: bool = False,
) -> Finding:
    """Compare a value with its warning and critical levels; a level of ``None`` or 0 is switched off.

    A value that equals a level has reached it. With ``low_is_bad`` smaller is worse.
    """

    def reached(limit: float | None) -> bool:
        if not limit:
            return False
        return value <= limit if low_is_bad else value >= limit

    if reached(crit):
        return Finding(Status.CRITICAL, message, next_step)
    if reached(warn):
        return Finding(Status.WARNING, message, next_step)
    return Finding(Status.OK, message)
