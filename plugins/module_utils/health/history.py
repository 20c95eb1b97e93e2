# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What earlier reports found, in short: carried from report to report, for sparklines."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from .verdict import Verdict

ENTRIES = 30
"""How many runs are kept, the newest ones."""
TIMES = 20_000
"""How many times are kept over all runs. Beyond it the older runs keep their score only."""


def entry(report: Mapping[str, Any]) -> dict[str, Any]:
    """One report in short: when, verdict, score, and the milliseconds of each answer, by ``host/check``."""
    times = {
        f"{host}/{result['name']}": result["measures"]["answer_ms"]
        for host, part in report["hosts"].items()
        for result in part["results"]
        if "answer_ms" in result.get("measures", {})
    }
    return {"at": report["at"], "verdict": report["verdict"], "score": report["score"], "answer_ms": times}


def earlier(previous: Any) -> list[dict[str, Any]]:
    """The history in an earlier report, the oldest first; what is no such report has none.

    ``previous`` is a report or its JSON text. It comes from a file that anything may have written, so
    whatever does not have the form expected is left out.
    """
    if isinstance(previous, (str, bytes)):
        try:
            previous = json.loads(previous)
        except (ValueError, RecursionError):
            return []
    entries = previous.get("history") if isinstance(previous, Mapping) else None
    return [_kept(item) for item in entries if _is_entry(item)] if isinstance(entries, list) else []


def carry(previous: Any, report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The history for a report: that of the previous one, and the report itself where it says when it was."""
    entries = [*earlier(previous), *([entry(report)] if report.get("at") else [])][-ENTRIES:]
    room = TIMES
    for item in reversed(entries):
        room -= len(item["answer_ms"])
        if room < 0:
            item["answer_ms"] = {}
    return entries


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _is_entry(item: Any) -> bool:
    return (
        isinstance(item, Mapping)
        and isinstance(item.get("at"), str)
        and item.get("verdict") in [verdict.value for verdict in Verdict]
        and _is_number(item.get("score"))
        and item["score"] <= 100
    )


def _kept(item: Mapping[str, Any]) -> dict[str, Any]:
    times = item.get("answer_ms")
    known = {str(key): ms for key, ms in times.items() if _is_number(ms)} if isinstance(times, Mapping) else {}
    return {"at": item["at"], "verdict": item["verdict"], "score": int(item["score"]), "answer_ms": known}
