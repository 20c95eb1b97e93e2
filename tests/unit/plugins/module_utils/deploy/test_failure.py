# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an operator is told of a deploy that failed, and whose fault it was."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.deploy.failure import Failure, failure, message

PLAN = {"batches": [{"phase": "canary", "hosts": ["app1"]}, {"phase": "batch 2 of 2", "hosts": ["app2", "app3"]}]}
LOST = Failure("batch 2 of 2", ("app2", "app3"), {}, ("app3",), False)


@pytest.mark.parametrize(
    ("phase", "batch"),
    [
        ("canary", ("app1",)),
        # It is the canary that is watched.
        ("soak", ("app1",)),
        ("batch 2 of 2", ("app2", "app3")),
        ("fetch", ()),
        ("verify", ()),
    ],
)
def test_whom_a_phase_was_about(phase: str, batch: tuple[str, ...]) -> None:
    assert failure(PLAN, phase, {}, [], []).batch == batch


def test_the_release_is_to_blame_where_it_was_proven_and_did_not_fit() -> None:
    errors = {"app2": "app2:3000 is not ready"}
    assert failure(PLAN, "batch 2 of 2", errors, [], ["app2"]).is_release
    assert not failure(PLAN, "batch 2 of 2", errors, ["app3"], []).is_release


@pytest.mark.parametrize(
    ("errors", "unreachable", "expected"),
    [
        ({"app1": "not ready\nlast lines: ..."}, [], "app1: not ready"),
        ({"app1": "\n  not ready\n"}, [], "app1: not ready"),
        ({"app1": "a", "app2": "b"}, ["app3"], "app1: a; app2: b; app3 cannot be reached"),
        ({"app1": "x" * 500}, [], "app1: " + "x" * 200),
        ({}, [], "no host says why"),
        ({"app1": "", "app2": " \n"}, [], "no host says why"),
    ],
)
def test_a_failure_in_a_line(errors: dict[str, str], unreachable: list[str], expected: str) -> None:
    assert failure(PLAN, "canary", errors, unreachable, []).summary == f"canary failed: {expected}"


def told(failed: Failure, states: dict[str, Any], drained: list[str] | None = None, lost: Any = ()) -> list[str]:
    return message(failed, "1.4.0", "shop", states, drained or [], lost)


def test_a_bad_release_that_all_went_back_from() -> None:
    failed = Failure("canary", ("app1",), {"app1": "not ready"}, (), True)
    assert told(failed, {"app1": "1.3.0", "app2": "1.3.0"}) == [
        "shop 1.4.0: canary failed: app1: not ready",
        "1.3.0 is current on app1, app2",
        "1.4.0 is marked bad: it is not deployed again, and rollback passes it over",
        "every host serves what it served before",
    ]


def test_a_host_that_was_lost_is_named_with_what_to_do() -> None:
    assert told(LOST, {"app1": "1.4.0", "app2": None}, ["app3:3000 on edge1"], ["app3"]) == [
        "shop 1.4.0: batch 2 of 2 failed: app3 cannot be reached",
        "1.4.0 is current on app1",
        "no release is current on app2",
        "not brought back: app3; see what is wrong there, it was left as it was",
        "still out of the pool: app3:3000 on edge1",
        "then run the same command again, which goes on, or `rollback`, which goes back",
    ]


def test_a_bad_release_is_not_to_be_run_again() -> None:
    failed = Failure("canary", ("app1",), {"app1": "not ready"}, (), True)
    assert told(failed, {}, lost=["app1"])[-1] == "then deploy a release that works, or `rollback`, which goes back"


def test_hosts_that_keep_the_release_do_not_serve_what_they_did() -> None:
    lines = told(Failure("batch 2 of 2", ("app2",), {"app2": "x"}, (), True), {"app1": "1.4.0", "app2": "1.3.0"})
    assert lines[1:3] == ["1.4.0 is current on app1", "1.3.0 is current on app2"]
    assert not any("served before" in line for line in lines)


def test_where_no_host_had_begun_nothing_was_changed() -> None:
    lines = message(Failure("lease", (), {"edge1": "held"}, (), False), None, "shop", {}, [], [])
    assert lines == ["shop : lease failed: edge1: held", "nothing was changed on any host"]


@pytest.mark.parametrize("phase", ["contract", "ledger"])
def test_nobody_goes_back_behind_a_contract(phase: str) -> None:
    failed = Failure(phase, (), {"app1": "it ended with 1"}, (), False)
    assert not failed.goes_back
    assert told(failed, {"app1": "1.4.0"}) == [
        f"shop 1.4.0: {phase} failed: app1: it ended with 1",
        "1.4.0 is current on app1",
        "no host goes back: the database may have lost what an older release needs; run the same command again,"
        " which goes on",
    ]


@pytest.mark.parametrize("phase", ["fetch", "migrate", "canary", "soak", "batch 2 of 2", "verify"])
def test_before_it_hosts_go_back(phase: str) -> None:
    assert Failure(phase, (), {}, (), False).goes_back
