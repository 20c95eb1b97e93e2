# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who may take the lease, renew it and give it back, and what those are told who may not."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.deploy.lease import (
    Lease,
    LeaseError,
    Phase,
    Record,
    Request,
    describe,
    duration,
    parse,
    parse_request,
    plan,
    render,
)
from ansible_collections.slipway.stack.plugins.module_utils.deploy.process import Process
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 11, 24, 19, 30, tzinfo=timezone.utc)
PROCESS = Process("laptop", "b1", "pid:[1]", 4211, 99)
HELD = Lease(
    owner="ana@laptop",
    run="run-a",
    purpose="deploy shop 1.4.0",
    phase="migrate",
    fence=7,
    taken_at=NOW - timedelta(minutes=5),
    renewed_at=NOW - timedelta(minutes=1),
    expires_at=NOW + timedelta(minutes=2),
    process=PROCESS,
    phases=(Phase("fetch", NOW - timedelta(minutes=5)), Phase("migrate", NOW - timedelta(minutes=1))),
)
EXPIRED = replace(HELD, expires_at=NOW)


def take(run: str, **more: Any) -> Request:
    return Request("taken", run, owner="ben@desk", purpose="site", phase="preflight", term_seconds=60, **more)


def test_a_free_lease_is_taken_with_a_new_number() -> None:
    outcome = plan(Record(6), take("run-b", process=PROCESS), NOW)
    assert outcome.changed
    assert (outcome.previous, outcome.taken_over) == (None, None)
    lease = Lease("ben@desk", "run-b", "site", "preflight", 7, NOW, NOW, NOW + timedelta(seconds=60), PROCESS)
    assert outcome.after == Record(7, replace(lease, phases=(Phase("preflight", NOW),)))
    assert outcome.msg == "run run-b has the lease, number 7, until 2026-11-24T19:31:00Z"


def test_a_held_lease_is_refused_and_its_holder_told() -> None:
    with pytest.raises(LeaseError) as caught:
        plan(Record(7, HELD), take("run-b", dead_run="run-x"), NOW)
    assert caught.value.holder == HELD
    assert str(caught.value) == (
        "The lease is held: ana@laptop (run run-a, deploy shop 1.4.0, phase migrate) has it since 2026-11-24T19:25:00Z,"
        " 5 min ago; unless renewed it ends in 2 min, at 2026-11-24T19:32:00Z. Nothing was changed. Wait until that run"
        " has ended; or, if you know that it has, take the lease over (take_over: true, in a playbook -e"
        " deploy_take_over=true)"
    )


@pytest.mark.parametrize(
    ("held", "more", "why"),
    [
        (EXPIRED, {}, "expired"),
        (HELD, {"dead_run": "run-a"}, "dead"),
        (HELD, {"take_over": True}, "asked"),
        # The reason that says most.
        (EXPIRED, {"take_over": True, "dead_run": "run-a"}, "expired"),
        (HELD, {"take_over": True, "dead_run": "run-a"}, "dead"),
    ],
)
def test_a_take_over_tells_why_and_from_whom(held: Lease, more: dict[str, Any], why: str) -> None:
    outcome = plan(Record(7, held), take("run-b", **more), NOW)
    assert (outcome.previous, outcome.taken_over) == (held, why)
    assert outcome.after.lease is not None
    assert (outcome.after.fence, outcome.after.lease.fence, outcome.after.lease.run) == (8, 8, "run-b")
    assert f"taken over ({why}) from ana@laptop (run run-a" in outcome.msg


@pytest.mark.parametrize("held", [HELD, EXPIRED])
@pytest.mark.parametrize("state", ["taken", "renewed"])
def test_its_own_lease_is_renewed(held: Lease, state: str) -> None:
    request = Request(state, "run-a", phase="canary", term_seconds=300)
    outcome = plan(Record(7, held), request, NOW)
    assert outcome.taken_over is None
    renewed = replace(held, phase="canary", renewed_at=NOW, expires_at=NOW + timedelta(minutes=5))
    assert outcome.after == Record(7, replace(renewed, phases=(*held.phases, Phase("canary", NOW))))


def test_a_phase_that_goes_on_began_once() -> None:
    for request in (
        Request("renewed", "run-a", phase="migrate", term_seconds=9),
        Request("renewed", "run-a", term_seconds=9),
    ):
        lease = plan(Record(7, HELD), request, NOW).after.lease
        assert lease is not None
        assert (lease.phase, lease.phases) == ("migrate", HELD.phases)


@pytest.mark.parametrize("state", ["renewed", "released"])
def test_a_lease_that_another_run_has_is_lost(state: str) -> None:
    with pytest.raises(
        LeaseError, match=r"The lease of run run-b is lost to another: ana@laptop \(run run-a"
    ) as caught:
        plan(Record(7, HELD), Request(state, "run-b", term_seconds=60, take_over=True), NOW)
    assert caught.value.holder == HELD


def test_a_lease_that_nobody_has_cannot_be_renewed() -> None:
    with pytest.raises(LeaseError, match="The lease is lost: nobody has it"):
        plan(Record(7), Request("renewed", "run-a", term_seconds=60), NOW)


def test_the_number_outlasts_a_release() -> None:
    outcome = plan(Record(7, HELD), Request("released", "run-a"), NOW)
    assert (outcome.changed, outcome.after) == (True, Record(7))
    again = plan(outcome.after, Request("released", "run-a"), NOW)
    assert (again.changed, again.after) == (False, Record(7))


def test_the_number_exceeds_what_hosts_were_told() -> None:
    assert plan(Record(2), take("run-b", fence_above=40), NOW).after.fence == 41
    assert plan(Record(50), take("run-b", fence_above=40), NOW).after.fence == 51


@given(st.lists(st.tuples(st.sampled_from(["taken", "renewed", "released"]), st.sampled_from("abc"), st.booleans())))
def test_no_number_is_given_to_two_runs(calls: list[tuple[str, str, bool]]) -> None:
    record, given_to = Record(), {}
    for minute, (state, run, take_over) in enumerate(calls):
        request = Request(state, run, owner=run, term_seconds=90, take_over=take_over)
        try:
            record = plan(record, request, NOW + timedelta(minutes=minute)).after
        except LeaseError:
            continue
        if record.lease is not None:
            assert record.lease.run == run
            assert given_to.setdefault(record.lease.fence, run) == run
        assert record.fence >= max(given_to, default=0)
        assert parse(render(record)) == record


@pytest.mark.parametrize("record", [Record(), Record(7), Record(7, HELD), Record(7, replace(HELD, process=None))])
def test_what_is_written_is_read(record: Record) -> None:
    assert parse(render(record)) == record


@pytest.mark.parametrize(
    "raw", [{"fence": "x"}, {"lease": {}}, {"lease": "ana"}, {"lease": {**render(Record(7, HELD))}}]
)
def test_a_damaged_file_is_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(LeaseError, match="holds no lease as it should"):
        parse(raw)


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        ({"run": None}, r"run: None; expected the id of the run"),
        ({"run": "a b"}, r"run: 'a b'; expected the id of the run"),
        ({"run": "x" * 65}, r"run: 'x+'; expected"),
        ({"owner": " "}, r"owner: is empty; expected who takes the lease, such as ana@laptop"),
        ({"owner": "ana\nroot"}, r"owner: 'ana\\nroot'; expected at most 200 characters on one line"),
        ({"phase": "x" * 201}, r"phase: 'x+'; expected at most 200"),
        ({"term_seconds": 0}, r"term_seconds: 0; expected 1 or more"),
        ({"term_seconds": None}, r"term_seconds: None; expected 1 or more"),
        ({"fence_above": -1}, r"fence_above: -1; expected 0 or more"),
    ],
)
def test_options_that_cannot_be_are_named(options: dict[str, Any], finding: str) -> None:
    good = {"state": "taken", "run": "run-a", "owner": "ana", "term_seconds": 60}
    assert parse_request(good) == Request("taken", "run-a", owner="ana", term_seconds=60)
    with pytest.raises(LeaseError, match=finding):
        parse_request({**good, **options})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (-3, "0 s"), (59.4, "59 s"), (60, "1 min"), (200, "3 min 20 s"), (3600, "1 h"), (7500, "2 h 5 min"),
     (273600, "3 d 4 h")],
)  # fmt: skip
def test_spans_are_told_in_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_an_expired_lease_says_since_when() -> None:
    assert describe(EXPIRED, NOW + timedelta(seconds=90)).endswith("; it ended 1 min 30 s ago, at 2026-11-24T19:30:00Z")
