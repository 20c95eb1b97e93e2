# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What goes from report to report, whatever the file of the last one holds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.history import ENTRIES, TIMES, carry, earlier
from hypothesis import given
from hypothesis import strategies as st

ENTRY = {"at": "2026-01-01T00:00:00Z", "verdict": "healthy", "score": 100, "answer_ms": {"a/x": 1.5}}


def report(at: str = "2026-01-02T00:00:00Z", checks: int = 1) -> dict[str, Any]:
    results = [{"name": f"c{number}", "measures": {"answer_ms": 2.0}} for number in range(checks)]
    untimed = {"name": "disk", "measures": {"disk_percent": 3.0}}
    return {"at": at, "verdict": "healthy", "score": 100, "hosts": {"a": {"results": [*results, untimed]}}}


def test_the_report_joins_its_predecessors() -> None:
    history = carry({"history": [ENTRY]}, report())
    assert history == [ENTRY, {**ENTRY, "at": "2026-01-02T00:00:00Z", "answer_ms": {"a/c0": 2.0}}]
    assert carry({"history": history}, report(at="")) == history


def test_the_text_of_a_file_serves_as_well() -> None:
    assert earlier(json.dumps({"history": [ENTRY]})) == [ENTRY]


def test_only_the_newest_are_kept() -> None:
    history: Any = None
    for day in range(ENTRIES + 5):
        history = carry({"history": history}, report(f"day {day}"))
    assert [entry["at"] for entry in history] == [f"day {day}" for day in range(5, ENTRIES + 5)]


def test_many_times_cost_the_older_runs_theirs() -> None:
    history: Any = None
    for _number in range(4):
        history = carry({"history": history}, report(checks=TIMES // 2))
    assert [len(entry["answer_ms"]) for entry in history] == [0, 0, TIMES // 2, TIMES // 2]


@pytest.mark.parametrize(
    "previous",
    [
        None,
        "",
        "garbage",
        b"\xff\xfe",
        "[" * 100_000,
        [],
        {},
        {"verdict": "healthy"},
        {"history": None},
        {"history": {"a": 1}},
        {"history": [None, 1, "x", [], {}]},
        {"history": [{**ENTRY, "at": 1}]},
        {"history": [{**ENTRY, "verdict": "splendid"}]},
        {"history": [{**ENTRY, "verdict": ["healthy"]}]},
        {"history": [{**ENTRY, "score": "100"}]},
        {"history": [{**ENTRY, "score": True}]},
        {"history": [{**ENTRY, "score": 101}]},
        {"history": [{**ENTRY, "score": float("nan")}]},
    ],
)
def test_garbage_and_older_forms_are_passed_over(previous: Any) -> None:
    assert earlier(previous) == []
    assert len(carry(previous, report())) == 1


def test_bad_times_are_left_out_one_by_one() -> None:
    times = {"a/x": 1, "a/y": "2", "a/z": None, "a/n": float("inf"), "a/m": -1, "a/t": True}
    assert earlier({"history": [{**ENTRY, "answer_ms": times}]}) == [{**ENTRY, "answer_ms": {"a/x": 1}}]
    assert earlier({"history": [{**ENTRY, "answer_ms": [1]}]}) == [{**ENTRY, "answer_ms": {}}]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*ENTRY, "history", "x"]), inner),
)


@given(JSON)
def test_nothing_breaks_a_run(previous: Any) -> None:
    for form in (previous, {"history": previous}, json.dumps(previous)):
        json.dumps(carry(form, report()), allow_nan=False)
