"""Releases that do not work: at most one batch meets one, the old release serves on, and nobody goes back to it."""

from __future__ import annotations

import pytest

from tests.support.deploy import (
    LONG,
    artifact,
    assert_on,
    deploy,
    events,
    hosts,
    ledger,
    new_release,
    rollback,
)
from tests.support.say import say
from tests.support.traffic import Stream, traffic

# Enough to see a request that fails, on a machine that starts and stops programs meanwhile.
USERS = (Stream("GET", "/api/health", 40), Stream("POST", "/api/session", 20, {"user": "traffic"}))
FAULTS = [
    "exits",
    pytest.param("never_ready", marks=LONG),
    pytest.param("answers_500", marks=LONG),
    pytest.param("hangs_on_sigterm", marks=LONG),
]


def broken(stack, fault, **variables):
    """Deploy a release with a fault while users are there; returns its name, the run, and what users saw."""
    release = new_release(f"broken-{fault.replace('_', '-')}")
    of = artifact(fault)
    with traffic(stack, USERS) as users:
        run, started = deploy(stack, release, of=of, **variables)
    say(f"did: {release}, status {run.status}; saw: {users.summary()}")
    return release, run, started, users


def assert_went_back(stack, release, origin, run, started, users):
    assert run.status != 0, run.output
    assert users.failures == {}
    assert_on(stack, origin)
    assert all(release in state.bad for state in hosts(stack).values()), hosts(stack)
    assert events(stack, release)[-1] == "failed"
    assert release in started.message


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_release_touches_one_batch_and_the_old_one_serves_on(demo, origin, fault):
    release, run, started, users = broken(demo, fault)
    assert_went_back(demo, release, origin, run, started, users)
    assert started.phase("batch 2") is None
    assert release not in hosts(demo)["app2"].history
    again, told = deploy(demo, release, of=artifact(fault))
    assert again.status != 0
    assert set(again.changed.values()) == {0}, again.output
    assert "not marked bad" in told.message


def test_a_release_that_breaks_in_the_second_batch_takes_the_fleet_back(demo, origin):
    release, run, started, users = broken(demo, "breaks_on_app2")
    assert_went_back(demo, release, origin, run, started, users)
    assert release in hosts(demo)["app1"].history


@LONG
def test_where_only_the_batch_is_to_go_back_those_before_it_stay(demo, origin):
    release, run, _started, users = broken(demo, "breaks_on_app2", rollback="batch")
    assert run.status != 0, run.output
    assert users.failures == {}
    found = hosts(demo)
    assert found["app1"].runs(release)
    assert found["app2"].runs(origin)


@LONG
def test_a_rollback_skips_a_bad_release_and_refuses_it_by_name(demo, origin):
    good = new_release("good")
    run, _started = deploy(demo, good, soak_seconds=0)
    assert run.status == 0, run.output
    release, run, _started, _users = broken(demo, "exits")
    assert run.status != 0
    assert_on(demo, good)
    entries = len(ledger(demo))
    run, started = rollback(demo, rollback_release=release)
    assert run.status != 0
    assert set(run.changed.values()) == {0}, run.output
    assert release in started.message
    assert "not marked bad" in started.message
    assert len(ledger(demo)) == entries
    run, started = rollback(demo)
    assert run.status == 0, run.output
    assert_on(demo, origin)
