# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ledger for a terminal: a line for each entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_HEADINGS = ("at (UTC)", "application", "event", "release", "run", "details")


def table(entries: Sequence[Mapping[str, Any]], details_width: int = 72) -> str:
    """The entries, as ``deploy_ledger_info`` returns them, in their order, below headings; times are in UTC.

    ``details_width`` is where the last column is cut, in characters.
    """
    if not entries:
        return "nothing is recorded"
    rows = [_HEADINGS, *(_row(entry, details_width) for entry in entries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def _row(entry: Mapping[str, Any], details_width: int) -> tuple[str, ...]:
    told = " ".join(_details(entry["data"]).split())
    return (
        entry["at"].replace("T", " ").rstrip("Z"),
        entry["application"] or "(fleet)",
        entry["event"].replace("_", " "),
        entry["release"] or "",
        entry["run"],
        told if len(told) <= details_width else told[: details_width - 3] + "...",
    )


def _details(data: Mapping[str, Any]) -> str:
    """What is recorded besides, as ``name: value``; of a lease that was taken over, who had it and what for."""
    return ", ".join(
        f"{name}: {_value(name, value)}" for name, value in data.items() if value not in (None, "", [], {})
    )


def _value(name: str, value: Any) -> str:
    if not isinstance(value, Mapping):
        return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    if name == "previous":
        return f"{value.get('purpose')} of {value.get('owner')} (run {value.get('run')})"
    if name == "seconds":
        # Of each phase.
        return str(round(sum(value.values())))
    return " ".join(f"{key}={item}" for key, item in value.items())
