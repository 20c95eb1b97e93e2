"""The playbook maintenance does what is asked for on both edges, or on none, and tells why."""

from __future__ import annotations

import json

import pytest

from tests.support.http import Client
from tests.support.stack import Run, Stack

APPS = {"shop": {"group": "members", "port": 3001}, "mailer": {"kind": "worker"}}
ENDS = "2099-01-01T00:00:00Z"


def maintenance(stack: Stack, *arguments: str, **options: object) -> Run:
    variables = {"slipway_apps": APPS, "slipway_operator": "ada", "maintenance_application": "shop"}
    named = {name if name.startswith("slipway_") else f"maintenance_{name}": value for name, value in options.items()}
    return stack.playbook("maintenance", "-e", json.dumps({**variables, **named}), *arguments)


def answers(stack: Stack) -> dict[str, tuple[bool, str]]:
    """By edge: whether the page is on, and what it announces."""
    found = {}
    for edge in stack.groups["edge"]:
        client = Client(stack, edge=edge)
        answer = client.get("/whoami")
        client.close()
        found[edge] = (
            "retry-after" in answer.headers and answer.status == 503,
            answer.headers.get("maintenance-announcement", ""),
        )
    return found


def held(stack: Stack) -> bool:
    return (
        json.loads(stack.shell(stack.groups["edge"][0], "cat /var/lib/slipway/deploy/lease.json"))["lease"] is not None
    )


def end(stack: Stack) -> None:
    done = stack.module(
        "edge", "maintenance_page", application="shop", state="off", owner="test", when_owned_by_other="take"
    )
    assert done.status == 0, done.output


@pytest.fixture
def quiet(edges):
    """No page before, and none after it."""
    end(edges)
    yield edges
    end(edges)


def everywhere(stack: Stack, value: tuple[bool, str]) -> dict[str, tuple[bool, str]]:
    return dict.fromkeys(stack.groups["edge"], value)


def test_on_again_and_off_on_both(quiet):
    run = maintenance(quiet, state="on", text="Moving house", ends=ENDS)
    assert run.status == 0, run.output
    assert set(run.changed.values()) == {1}
    assert answers(quiet) == everywhere(quiet, (True, ""))
    again = maintenance(quiet, state="on")
    assert (again.status, set(again.changed.values())) == (0, {0})
    assert maintenance(quiet, state="off").status == 0
    assert answers(quiet) == everywhere(quiet, (False, ""))
    assert not held(quiet)


def test_a_page_is_announced_before_it_is_on(quiet):
    run = maintenance(quiet, state="announced", starts="2098-01-01T00:00:00Z", ends=ENDS)
    assert run.status == 0, run.output
    assert answers(quiet) == everywhere(quiet, (False, f"2098-01-01T00:00:00Z/{ENDS}"))
    run = maintenance(quiet, state="on", announce_seconds=2)
    assert run.status == 0, run.output
    # Announced anew, for as long as was asked for, and then on.
    assert set(run.changed.values()) == {2}
    assert answers(quiet) == everywhere(quiet, (True, ""))


def test_check_mode_shows_what_would_be_and_takes_no_lease(quiet):
    run = maintenance(quiet, "--check", "--diff", state="on")
    assert run.status == 0, run.output
    assert '"state": "on"' in run.output
    assert answers(quiet) == everywhere(quiet, (False, ""))


def test_what_one_edge_refuses_is_done_on_none(quiet):
    first, *_others, last = quiet.groups["edge"]
    assert quiet.module(last, "maintenance_page", application="shop", state="on", owner="bob").status == 0
    run = maintenance(quiet, state="on")
    assert run.status != 0
    assert "the page is on by bob" in run.output
    assert answers(quiet)[first] == (False, "")
    assert not held(quiet)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"state": "up"}, ["maintenance_state", "'up'", "announced, on, off"]),
        ({"application": "mailer", "state": "on"}, ["maintenance_application", "a worker", "one of shop"]),
        ({"state": "announced"}, ["starts: missing"]),
        ({"state": "on", "ends": "2020-01-01T00:00:00Z"}, ["ends: 2020-01-01T00:00:00Z has passed"]),
        ({"state": "on", "slipway_coordination_host": "nowhere"}, ["slipway_coordination_host", "'nowhere'"]),
    ],
)
def test_what_cannot_be_is_refused(edges, options, words):
    run = maintenance(edges, **options)
    assert run.status != 0
    assert set(run.changed.values()) <= {0}
    assert [word for word in words if word not in run.output] == [], run.output


def test_a_limit_that_hides_an_edge_is_refused(quiet):
    first, *others = quiet.groups["edge"]
    run = maintenance(quiet, "--limit", first, state="on")
    assert run.status != 0
    assert f"all but {', '.join(others)}" in run.output
    assert answers(quiet) == everywhere(quiet, (False, ""))
