# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan for the instances of a template unit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.app.instances import (
    Action,
    Instance,
    Stopped,
    describe,
    ends,
    from_properties,
    instance_of,
    parse_show,
    plan,
    plan_stop,
    stopped_from,
    wait_until,
)
from hypothesis import given
from hypothesis import strategies as st

RUNS = Instance(3000, running=True, enabled=True, started_at=100.0)


@pytest.mark.parametrize(
    ("current", "wanted", "configured_at", "restart", "expected"),
    [
        ([], [3000], 0, False, [("enable", 3000), ("start", 3000)]),
        ([RUNS], [3000], 99.0, False, []),
        ([RUNS], [3000], 101.0, False, [("restart", 3000)]),
        ([RUNS], [3000], 0, True, [("restart", 3000)]),
        ([replace(RUNS, outdated=True)], [3000], 0, False, [("restart", 3000)]),
        ([replace(RUNS, running=False)], [3000], 101.0, True, [("start", 3000)]),
        ([replace(RUNS, enabled=False)], [3000], 0, False, [("enable", 3000)]),
        ([RUNS, replace(RUNS, name=3001)], [3000], 0, False, [("retire", 3001)]),
        ([RUNS, Instance(3001, running=False, enabled=False)], [3000], 0, False, []),
        ([RUNS], [3000, 3001], 101.0, False, [("enable", 3001), ("start", 3001), ("restart", 3000)]),
        ([RUNS], [], 0, False, [("retire", 3000)]),
    ],
)
def test_plan(current: list, wanted: list, configured_at: float, restart: bool, expected: list) -> None:
    assert plan(current, wanted, configured_at, restart) == tuple(Action(*step) for step in expected)


INSTANCES = st.builds(
    Instance,
    name=st.integers(1, 6),
    running=st.booleans(),
    enabled=st.booleans(),
    started_at=st.floats(0, 200),
    outdated=st.booleans(),
)


@given(st.lists(INSTANCES, unique_by=lambda i: i.name), st.sets(st.integers(1, 6)), st.floats(0, 200))
def test_planning_again_after_applying_is_empty(current: list, wanted: set, configured_at: float) -> None:
    after = {instance.name: instance for instance in current}
    for action in plan(current, wanted, configured_at):
        was = after.get(action.instance, Instance(action.instance, running=False, enabled=False))
        after[action.instance] = {
            "retire": replace(was, running=False, enabled=False),
            "enable": replace(was, enabled=True),
            "start": replace(was, running=True, started_at=configured_at + 1, outdated=False),
            "restart": replace(was, started_at=configured_at + 1, outdated=False),
        }[action.verb]
    assert plan(after.values(), wanted, configured_at) == ()


def test_describe_says_who_restarts() -> None:
    actions = plan([RUNS], [3000, 3001], restart=True)
    assert describe([RUNS], actions) == {
        "before": "3000: running, enabled\n",
        "after": "3000: running, enabled (restarted)\n3001: running, enabled\n",
    }


def test_describe_says_who_stays_enabled_and_who_is_gone() -> None:
    others = [replace(RUNS, name=3001), replace(RUNS, name=3002, running=False)]
    assert describe([RUNS, *others], [Action("stop", 3000), Action("retire", 3001)]) == {
        "before": "3000: running, enabled\n3001: running, enabled\n3002: stopped, enabled\n",
        "after": "3000: stopped, enabled\n3002: stopped, enabled\n",
    }


@pytest.mark.parametrize(
    ("current", "wanted", "expected"),
    [
        ([RUNS], [3000], [("stop", 3000)]),
        ([RUNS], [], []),
        ([RUNS], [3001], []),
        ([replace(RUNS, running=False)], [3000], []),
        ([replace(RUNS, running=False, stopping=True)], [3000], [("stop", 3000)]),
        ([], [3000], []),
    ],
)
def test_only_the_declared_instances_that_are_not_down_are_stopped(current: list, wanted: list, expected: list) -> None:
    assert plan_stop(current, wanted) == tuple(Action(*step) for step in expected)


@given(st.lists(INSTANCES, unique_by=lambda i: i.name), st.sets(st.integers(1, 6)))
def test_stopping_leaves_nothing_to_stop_and_all_to_start(current: list, wanted: set) -> None:
    told = {action.instance for action in plan_stop(current, wanted)}
    after = [replace(i, running=False, stopping=False) if i.name in told else i for i in current]
    assert plan_stop(after, wanted) == ()
    assert {action.instance for action in plan(after, wanted) if action.verb == "start"} == wanted


@pytest.mark.parametrize(
    ("told_at", "ended", "result", "expected"),
    [
        (5.0, "6250000", "success", Stopped(1.25, False, "success")),
        (5.0, "35000000", "timeout", Stopped(30.0, True, "timeout")),
        # Another run had told it before.
        (5.0, "4000000", "exit-code", Stopped(0.0, False, "exit-code")),
    ],
)
def test_how_an_instance_ended(told_at: float, ended: str, result: str, expected: Stopped) -> None:
    assert stopped_from({"InactiveEnterTimestampMonotonic": ended, "Result": result}, told_at) == expected


@pytest.mark.parametrize(
    ("sub", "restarts", "expected"),
    [
        ("running", "0", 0),
        ("auto-restart", "0", 1),
        ("running", "2", 2),
        ("auto-restart-queued", "2", 3),
        ("dead", "", 0),
    ],
)
def test_an_instance_that_waits_for_a_restart_ended_once_more(sub: str, restarts: str, expected: int) -> None:
    assert ends({"SubState": sub, "NRestarts": restarts}) == expected


def test_parse_show_and_from_properties() -> None:
    text = (
        "Id=slipway-shop@3000.service\nActiveState=active\nNeedDaemonReload=no\n"
        "ExecMainStartTimestampMonotonic=5000000\n\n"
        "Id=slipway-shop@3001.service\nActiveState=inactive\nNeedDaemonReload=no\nExecMainStartTimestampMonotonic=0\n"
    )
    first, second = parse_show(text)
    assert from_properties(3000, first, True, now=1000.0, monotonic_now=15.0) == Instance(3000, True, True, 990.0)
    assert from_properties(3001, second, False, now=1000.0, monotonic_now=15.0) == Instance(3001, False, False)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("slipway-shop@3000.service", 3000),
        ("slipway-shop@.service", None),
        ("slipway-shop@blue.service", None),
        ("slipway-shop2@3000.service", None),
        ("slipway-shop.service", None),
    ],
)
def test_instance_of(unit: str, expected: object) -> None:
    assert instance_of(unit, "slipway-shop") == expected


def test_wait_until_gives_up_with_the_last_evidence() -> None:
    time = [0.0]
    answers = iter(["refused", "503", "503", "503"])
    waited = wait_until(
        lambda: (False, next(answers)), 2, lambda: time[0], lambda seconds: time.__setitem__(0, time[0] + seconds), 1
    )
    assert (waited.ready, waited.evidence, waited.seconds) == (False, "503", 2.0)


def test_wait_until_ends_at_the_first_yes() -> None:
    waited = wait_until(lambda: (True, "200"), 0, lambda: 5.0, lambda seconds: None)
    assert (waited.ready, waited.evidence, waited.seconds) == (True, "200", 0.0)
