# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings: what is wrong with an inventory or a host, told so that an operator can act on it.

A finding names the variable, the host, what was received, what is expected and how to fix it. Checks of different
domains (host facts, the topology) produce findings of this one shape, and :func:`render` makes them one message.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

ERROR = "error"
WARNING = "warning"
LEVELS = (ERROR, WARNING)


@dataclass(frozen=True)
class Finding:
    """One thing that an operator must (``error``) or should (``warning``) change.

    ``host`` is the inventory name, or "" when the finding is about the whole inventory. ``received`` is text to be
    shown: whoever makes a finding about a secret masks it. Raises ValueError when ``level`` is not one of LEVELS.
    """

    level: str
    host: str
    variable: str
    received: str
    expected: str
    fix: str

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ValueError("level is {!r}; expected one of {}".format(self.level, ", ".join(LEVELS)))

    def as_dict(self) -> dict[str, str]:
        """The finding as plain data, the form in which it leaves a filter."""
        return asdict(self)


def from_mapping(raw: Mapping[str, Any]) -> Finding:
    """Build a finding from plain data (the form :meth:`Finding.as_dict` gives).

    Raises ValueError naming the keys that are missing or unknown.
    """
    names = [field.name for field in fields(Finding)]
    missing = [name for name in names if name not in raw]
    unknown = sorted(str(key) for key in raw if key not in names)
    if missing or unknown:
        raise ValueError(
            "a finding has exactly the keys {}; missing: {}; unknown: {}".format(
                ", ".join(names), ", ".join(missing) or "none", ", ".join(unknown) or "none"
            )
        )
    return Finding(**{name: str(raw[name]) for name in names})


def errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that refuse a run."""
    return tuple(finding for finding in findings if finding.level == ERROR)


def warnings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that a run goes on in spite of."""
    return tuple(finding for finding in findings if finding.level == WARNING)


def render(findings: Iterable[Finding]) -> str:
    """One message with every finding: errors first, by host, in the order in which they were found. Empty for none.

    Equal findings (a fact of the inventory seen from several hosts) are told once.
    """
    unique = list(dict.fromkeys(findings))
    if not unique:
        return ""
    refusals, remarks = errors(unique), warnings(unique)
    lines = [
        "preflight: {}, {}".format(_count(len(refusals), "error"), _count(len(remarks), "warning"))
        + ("; nothing was changed on any host." if refusals else ".")
    ]
    ordered = sorted(unique, key=lambda finding: (LEVELS.index(finding.level), finding.host))
    for number, finding in enumerate(ordered, start=1):
        lines += [
            f"{number}. {finding.level.upper()} {finding.variable} on {finding.host or 'the inventory'}",
            f"   received: {finding.received}",
            f"   expected: {finding.expected}",
            f"   fix: {finding.fix}",
        ]
    return "\n".join(lines)


def _count(number: int, noun: str) -> str:
    return "{} {}{}".format(number, noun, "" if number == 1 else "s")
