# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verdict over many checks, and the score: functions of results, nothing else.

The score is the weighted share of what works, from 0 to 100, rounded down: 100 means that every
check passed. An ok counts its whole weight, a warning half of it, critical and unknown nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from .model import Result, Status

SHARES = {Status.OK: 1.0, Status.WARNING: 0.5, Status.CRITICAL: 0.0, Status.UNKNOWN: 0.0}


class Verdict(Enum):
    """What a set of checks amounts to."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    FAILED = "failed"


FAIL_ON = ("failed", "degraded", "never")


@dataclass(frozen=True)
class Summary:
    """A verdict, the score behind it, and how many checks ended in which way."""

    verdict: Verdict
    score: int
    counts: dict[str, int]


def summarise(weighed: Iterable[tuple[Status, float]]) -> Summary:
    """Sum up statuses with their weights. Nothing checked is nothing proven: failed, score 0."""
    pairs = list(weighed)
    found = [status for status, weight in pairs]
    counts = {status.value: found.count(status) for status in Status}
    if Status.CRITICAL in found or Status.UNKNOWN in found or not found:
        verdict = Verdict.FAILED
    elif Status.WARNING in found:
        verdict = Verdict.DEGRADED
    else:
        verdict = Verdict.HEALTHY
    if verdict is Verdict.HEALTHY:
        return Summary(verdict, 100, counts)
    total = sum(weight for status, weight in pairs)
    share = sum(SHARES[status] * weight for status, weight in pairs) / total if total else 0.0
    # A check of weight 0 that fails must not leave the full score.
    return Summary(verdict, min(99, int(100 * share + 1e-9)), counts)


def summarise_results(results: Sequence[Result]) -> Summary:
    """The verdict over results."""
    return summarise((result.status, result.weight) for result in results)


def fails(verdict: Verdict, fail_on: str) -> bool:
    """Whether a verdict fails the task."""
    if fail_on == "never":
        return False
    return verdict is Verdict.FAILED or (fail_on == "degraded" and verdict is Verdict.DEGRADED)


def failure_message(summary: Summary, results: Sequence[Result]) -> str:
    """One message that names every problem, the worst first."""
    wrong = sorted((r for r in results if r.status is not Status.OK), key=lambda r: -r.status.rank)
    head = f"{summary.verdict.value}, score {summary.score}: {len(wrong)} of {len(results)} checks did not pass"
    return "\n".join([head, *(problem_line(r.as_dict()) for r in wrong)])


def problem_line(result: dict[str, object], host: str = "") -> str:
    """``host: status: name (target): message. Wanted: ... Next: ...`` in one line."""
    line = f"{host}: " if host else ""
    line += f"{result['status']}: {result['name']}"
    if result["target"] and str(result["target"]) not in f"{result['name']} {result['message']}":
        line += f" ({result['target']})"
    line += f": {result['message']}."
    if result["wanted"]:
        line += f" Wanted: {result['wanted']}."
    if result["next_step"]:
        line += f" Next: {result['next_step']}."
    return line
