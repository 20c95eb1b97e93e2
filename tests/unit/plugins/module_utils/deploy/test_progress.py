# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far a deploy is, in a line, and what its phases took."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.deploy.progress import progress, summary, timings
from hypothesis import given
from hypothesis import strategies as st

START = datetime(2026, 11, 24, 19, 30, tzinfo=timezone.utc)
PLAN = {"application": "shop", "release": "1.4.0", "needed_seconds": 111}


def at(seconds: int) -> str:
    return (START + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def lease(*began: tuple[str, int]) -> dict[str, Any]:
    return {"taken_at": at(0), "phases": [{"name": name, "began_at": at(seconds)} for name, seconds in began]}


@pytest.mark.parametrize(
    ("passed", "expected"),
    [
        (41, "41 s elapsed, at most about 1 min 10 s remaining"),
        (200, "3 min 20 s elapsed, at most about 0 s remaining"),
        # The coordination host's clock may be ahead.
        (-5, "0 s elapsed, at most about 1 min 56 s remaining"),
    ],
)
def test_the_line(passed: int, expected: str) -> None:
    now = START + timedelta(seconds=passed)
    assert progress(PLAN, "batch 2 of 3 | app2", lease(), now) == f">> shop 1.4.0 | batch 2 of 3 | app2 | {expected}"


def test_the_line_without_a_lease_and_where_each_host_has_its_own_release() -> None:
    assert progress(PLAN, "lease", None, START) == ">> shop 1.4.0 | lease"
    assert progress({**PLAN, "release": None}, "go back", {}, START) == ">> shop back | go back"


def test_what_phases_took() -> None:
    held = lease(("lease", 0), ("fetch", 2), ("batch 2 of 2", 14))
    now = START + timedelta(seconds=75)
    assert timings(held, now) == [("lease", 2), ("fetch", 12), ("batch 2 of 2", 61)]
    assert summary(PLAN, held, now) == [
        "shop 1.4.0: 1 min 15 s",
        "  lease             2 s",
        "  fetch            12 s",
        "  batch 2 of 2     61 s",
    ]


@given(st.lists(st.integers(0, 5000), min_size=1))
def test_phases_take_all_of_the_time(begins: list[int]) -> None:
    begins = sorted(begins)
    took = timings(lease(*((f"phase {at}", at) for at in begins)), START + timedelta(seconds=6000))
    assert sum(seconds for _name, seconds in took) == 6000 - begins[0]
