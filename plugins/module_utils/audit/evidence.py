# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the operator says: evidence of items that nobody can look at, and which items do not apply."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from ..health.options import near_miss
from .checklist import BY_ID
from .model import Item

EVIDENCE = "slipway_audit_evidence"
NOT_APPLICABLE = "slipway_audit_not_applicable"
VALID_DAYS_MAX = 3650

_REQUIRED = ("by", "date", "what")
_FIELDS = (*_REQUIRED, "link", "valid_days")


class EvidenceError(ValueError):
    """What the operator says cannot be read; ``problems`` has a line for each reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Evidence:
    """Who says so, from which day it is, what it is, where it can be read, and how many days it counts."""

    by: str
    day: date
    what: str
    link: str
    valid_days: int

    def last_day(self) -> date:
        return self.day + timedelta(days=self.valid_days)

    def __str__(self) -> str:
        link = f", {self.link}" if self.link else ""
        return f"{self.what} ({self.by}, {self.day.isoformat()}{link})"


@dataclass(frozen=True)
class Said:
    """All that the operator says, by item."""

    evidence: Mapping[str, Evidence]
    not_applicable: Mapping[str, str]


def read_said(evidence: Any, not_applicable: Any, today: date) -> Said:
    """Read both variables. Raises EvidenceError with everything that is wrong with them."""
    problems: list[str] = []
    found: dict[str, Evidence] = {}
    reasons: dict[str, str] = {}
    for identity, given in _entries(EVIDENCE, evidence, problems):
        item = BY_ID[identity]
        place = f"{EVIDENCE}.{identity}"
        if item.rule:
            problems.append(f"{place}: {identity} is looked at, no evidence can stand for it; remove it")
            continue
        wrong = list(_evidence_problems(place, given, today))
        problems += wrong
        if not wrong:
            found[identity] = _evidence(item, given)
    for identity, reason in _entries(NOT_APPLICABLE, not_applicable, problems):
        place = f"{NOT_APPLICABLE}.{identity}"
        if not isinstance(reason, str) or not reason.strip():
            problems.append(f"{place}: {reason!r}; expected the reason, as a text")
        elif identity in found:
            problems.append(f"{place}: there is evidence of it in {EVIDENCE}, too; keep one of them")
        else:
            reasons[identity] = " ".join(reason.split())
    if problems:
        raise EvidenceError(problems)
    return Said(found, reasons)


def _entries(variable: str, given: Any, problems: list[str]) -> Iterator[tuple[str, Any]]:
    if given is None:
        return
    if not isinstance(given, Mapping):
        problems.append(f"{variable}: {given!r}; expected a mapping by item, such as S1-10")
        return
    for identity, value in given.items():
        if identity in BY_ID:
            yield str(identity), value
        else:
            problems.append(
                f"{variable}.{identity}: is no item of the checklists{near_miss(str(identity), list(BY_ID))}"
            )


def _evidence_problems(place: str, given: Any, today: date) -> Iterator[str]:
    if not isinstance(given, Mapping):
        yield f"{place}: {given!r}; expected a mapping with {', '.join(_REQUIRED)}"
        return
    for name in given:
        if name not in _FIELDS:
            # YAML reads the word on, and yes, as true.
            meant = " (did you mean date?)" if name is True else near_miss(str(name), _FIELDS)
            yield f"{place}.{name}: is not a field of evidence{meant}"
    for name in _REQUIRED:
        if given.get(name) in (None, ""):
            yield f"{place}.{name}: is missing"
    for name in ("by", "what", "link"):
        value = given.get(name)
        if value not in (None, "") and (not isinstance(value, str) or not value.strip()):
            yield f"{place}.{name}: {value!r}; expected a text"
    if given.get("date") not in (None, ""):
        day = _day(given["date"])
        if day is None:
            yield f"{place}.date: {str(given['date'])!r}; expected a date, such as 2026-11-01"
        elif day > today:
            yield f"{place}.date: {day.isoformat()} is yet to come; today is {today.isoformat()}"
    days = given.get("valid_days")
    if days is not None and (isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= VALID_DAYS_MAX):
        yield f"{place}.valid_days: {days!r}; expected a whole number of days from 1 to {VALID_DAYS_MAX}"


def _day(value: Any) -> date | None:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return datetime.strptime(str(value), "%Y-%m-%d").date()
    except ValueError:
        return None


def _evidence(item: Item, given: Mapping[str, Any]) -> Evidence:
    return Evidence(
        " ".join(given["by"].split()),
        _day(given["date"]) or date.min,
        " ".join(given["what"].split()),
        str(given.get("link") or ""),
        int(given.get("valid_days") or item.valid_days),
    )
