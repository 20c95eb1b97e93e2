# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verdict and the score."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.model import Outcome, Result, Status, judged, level
from ansible_collections.slipway.stack.plugins.module_utils.health.verdict import (
    Verdict,
    fails,
    failure_message,
    summarise,
    summarise_results,
)
from hypothesis import given
from hypothesis import strategies as st

OK, WARNING, CRITICAL, UNKNOWN = Status.OK, Status.WARNING, Status.CRITICAL, Status.UNKNOWN
CHECKS = st.lists(st.tuples(st.sampled_from(Status), st.floats(0, 100)), max_size=20)


@pytest.mark.parametrize(
    ("checks", "verdict", "score"),
    [
        ([(OK, 3)], Verdict.HEALTHY, 100),
        ([(OK, 0)], Verdict.HEALTHY, 100),
        ([(OK, 3), (WARNING, 1)], Verdict.DEGRADED, 87),
        ([(WARNING, 1)], Verdict.DEGRADED, 50),
        ([(OK, 3), (CRITICAL, 1)], Verdict.FAILED, 75),
        ([(OK, 1), (UNKNOWN, 1)], Verdict.FAILED, 50),
        ([(WARNING, 1), (CRITICAL, 1)], Verdict.FAILED, 25),
        ([(CRITICAL, 3)], Verdict.FAILED, 0),
        ([(OK, 1000), (CRITICAL, 0)], Verdict.FAILED, 99),
        ([], Verdict.FAILED, 0),
    ],
)
def test_verdict(checks: list[tuple[Status, float]], verdict: Verdict, score: int) -> None:
    summary = summarise(checks)
    assert (summary.verdict, summary.score) == (verdict, score)


@given(CHECKS)
def test_score_has_its_bounds_and_100_means_all_passed(checks: list[tuple[Status, float]]) -> None:
    summary = summarise(checks)
    assert 0 <= summary.score <= 100
    assert (summary.score == 100) == (summary.verdict is Verdict.HEALTHY)
    assert sum(summary.counts.values()) == len(checks)


@given(CHECKS, st.integers(0, 19), st.sampled_from(Status))
def test_nothing_that_gets_worse_makes_it_better(
    checks: list[tuple[Status, float]], position: int, status: Status
) -> None:
    if position >= len(checks) or status.rank <= checks[position][0].rank:
        return
    worse = [*checks[:position], (status, checks[position][1]), *checks[position + 1 :]]
    before, after = summarise(checks), summarise(worse)
    order = [Verdict.HEALTHY, Verdict.DEGRADED, Verdict.FAILED]
    assert order.index(after.verdict) >= order.index(before.verdict)
    assert after.score <= before.score


@given(CHECKS)
def test_what_could_not_run_never_passes(checks: list[tuple[Status, float]]) -> None:
    assert summarise([*checks, (UNKNOWN, 1)]).verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("verdict", "fail_on", "expected"),
    [
        (Verdict.HEALTHY, "failed", False),
        (Verdict.HEALTHY, "degraded", False),
        (Verdict.DEGRADED, "failed", False),
        (Verdict.DEGRADED, "degraded", True),
        (Verdict.FAILED, "failed", True),
        (Verdict.FAILED, "degraded", True),
        (Verdict.FAILED, "never", False),
    ],
)
def test_fails(verdict: Verdict, fail_on: str, expected: bool) -> None:
    assert fails(verdict, fail_on) is expected


def test_message_names_every_problem_the_worst_first() -> None:
    def result(name: str, status: Status) -> Result:
        return Result(name, "tcp", "tcp", "h:1", 1, Outcome(status, "s", "w", f"{name} is wrong", "repair it"), 1, 1)

    results = [result("one", WARNING), result("two", OK), result("three", CRITICAL)]
    lines = failure_message(summarise_results(results), results).splitlines()
    assert lines[0] == "failed, score 50: 2 of 3 checks did not pass"
    assert lines[1] == "critical: three (h:1): three is wrong. Wanted: w. Next: repair it."
    assert lines[2].startswith("warning: one")


@pytest.mark.parametrize(
    ("value", "low_is_bad", "status"),
    [(79.9, False, OK), (80, False, WARNING), (95, False, CRITICAL), (31, True, OK), (0, True, CRITICAL)],
)
def test_levels(value: float, low_is_bad: bool, status: Status) -> None:
    warn, crit = (30, 7) if low_is_bad else (80, 95)
    assert level(value, warn, crit, "m", "n", low_is_bad=low_is_bad).status is status


def test_levels_can_be_switched_off() -> None:
    assert level(1e9, 0, None, "m", "n").status is OK


def test_the_worst_finding_decides_and_all_are_named() -> None:
    outcome = judged(
        [level(85, 80, 95, "disk", "free it"), level(99, 80, 95, "memory", "free it"), level(1, 80, 95, "load", "x")],
        seen="s",
        wanted="w",
        fine="f",
    )
    assert outcome.status is CRITICAL
    assert outcome.message == "memory; disk"
    assert outcome.next_step == "free it"
