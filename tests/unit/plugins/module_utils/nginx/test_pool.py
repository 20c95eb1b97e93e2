"""Who may take members out of a pool, who stays, and what the state file says afterwards."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.nginx.pool import (
    ACTIVE,
    DRAINING,
    FAIL,
    OUT,
    SKIP,
    STATES,
    TAKE,
    Left,
    PoolError,
    Wanted,
    describe,
    differs,
    failing,
    info,
    left,
    parse,
    plan,
    render,
    select,
    wait_drained,
)
from hypothesis import given
from hypothesis import strategies as st

NOW, BEFORE = "2026-03-02T00:00:00Z", "2026-03-01T00:00:00Z"
NAMES = ("app1:3000", "app1:3001", "app2:3000", "[2001:db8::1]:3000")
DECLARED = {
    "shop": {
        "members": [{"name": name, "address": f"192.0.2.{index}", "port": 3000} for index, name in enumerate(NAMES)]
    },
    "board": {"members": []},
}


def recorded(**states):
    """A state file: ``a1="draining deploy"`` is app1:3000 drained by deploy."""
    names = {"a1": NAMES[0], "a2": NAMES[1], "b1": NAMES[2], "v6": NAMES[3], "old": "gone:1"}
    members = {}
    for short, text in states.items():
        state, owner = text.split()
        members[names[short]] = {"state": state, "owner": owner, "reason": "why", "since": BEFORE}
    return {"members": members}


def wanted(*members, state=DRAINING, owner="deploy", **more):
    return Wanted(members or NAMES[:1], state=state, owner=owner, **more)


def in_nginx(states, failing_members=(), **counts):
    """What the admin socket says when nginx runs these states; counts as name=(requests, websockets)."""
    entries = []
    for name in NAMES:
        entry = states["members"].get(name, {"state": ACTIVE})
        requests, websockets = counts.get(name.replace(":", "_"), (0, 0))
        is_failing = name in failing_members
        entries.append(
            {
                "name": name,
                **entry,
                "in_flight": requests,
                "websockets": websockets,
                "failures": 2,
                "failing": is_failing,
            }
        )
    return {"pools": {"shop": {"members": entries}}}


# Reading ----------------------------------------------------------------------------------------------------------


def test_members_that_the_file_does_not_name_are_active():
    pool = parse("shop", DECLARED, recorded(a2="out Ada"))
    assert [member.state for member in pool.members] == [ACTIVE, OUT, ACTIVE, ACTIVE]
    assert pool.at("app1:3001").owner == "Ada"
    assert pool.at("app1:3001").address == "192.0.2.1"
    assert parse("shop", DECLARED, {}).undeclared == ()


def test_members_that_are_no_longer_declared_are_kept_apart():
    pool = parse("shop", DECLARED, recorded(old="draining Ada"))
    assert pool.names == NAMES
    assert [member.name for member in pool.undeclared] == ["gone:1"]


@pytest.mark.parametrize(
    ("application", "declared", "said"),
    [
        ("shpo", DECLARED, "application: 'shpo' has no pool on this host; expected one of board, shop"),
        ("../../etc/passwd", DECLARED, "expected one of board, shop"),
        ("shop", {}, "this edge serves no application"),
    ],
)
def test_an_unknown_application_is_refused_with_those_there_are(application, declared, said):
    with pytest.raises(PoolError) as caught:
        parse(application, declared, {})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("states", "said"),
    [
        (
            {"members": {NAMES[0]: {"state": "gone"}}},
            "the state of app1:3000 is 'gone'; expected one of active, draining",
        ),
        ({"members": {NAMES[0]: "out"}}, "the state of app1:3000 is None"),
        ({"members": []}, "members is not an object"),
        ({"members": None}, "members is not an object"),
    ],
)
def test_a_state_file_that_is_none_is_refused(states, said):
    with pytest.raises(PoolError) as caught:
        parse("shop", DECLARED, states)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("patterns", "host", "found"),
    [
        (["app1:3001", "app1:3000", "app1:3001"], "", NAMES[:2]),
        (["app1:*"], "", NAMES[:2]),
        (["*"], "", NAMES),
        (["[2001:db8::1]:3000"], "", NAMES[3:]),
        ([], "app1", NAMES[:2]),
        ([], "192.0.2.2", NAMES[2:3]),
        ([], "[2001:db8::1]", NAMES[3:]),
    ],
)
def test_members_are_chosen_by_name_pattern_or_host(patterns, host, found):
    assert select(parse("shop", DECLARED, {}), patterns, host, DRAINING) == found


@pytest.mark.parametrize(
    ("patterns", "host", "said"),
    [
        (["app1:3000", "app3:*"], "", "members: 'app3:*' matches no member of shop; there are the members app1:3000, "),
        ([], "app3", "host: 'app3' has no member in shop; there are the hosts [2001:db8::1], app1, app2"),
        (["gone:1"], "", "members: 'gone:1' matches no member"),
    ],
)
def test_what_matches_nothing_is_refused_with_what_there_is(patterns, host, said):
    with pytest.raises(PoolError) as caught:
        select(parse("shop", DECLARED, recorded(old="out Ada")), patterns, host, OUT)
    assert said in str(caught.value)


def test_a_member_that_is_no_longer_declared_can_only_be_forgotten():
    states = recorded(old="out Ada", a1="out Ada")
    pool = parse("shop", DECLARED, states)
    assert select(pool, ["gone:1"], "", ACTIVE) == ("gone:1",)
    assert select(pool, ["*"], "", ACTIVE) == NAMES
    found = plan(pool, wanted("gone:1", state=ACTIVE, owner="Ada"), NOW)
    assert render(states, found.changes) == recorded(a1="out Ada")


def test_an_empty_pool_has_nothing_to_choose_from():
    with pytest.raises(PoolError, match="board; it has no members"):
        select(parse("board", DECLARED, {}), ["*"], "", DRAINING)


# Planning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "asked", "after", "skipped"),
    [
        # Leaving and coming back.
        ({}, wanted(), recorded(a1="draining deploy"), []),
        (recorded(a1="draining deploy"), wanted(state=OUT), recorded(a1="out deploy"), []),
        (recorded(a1="draining deploy"), wanted(state=ACTIVE), {}, []),
        ({}, wanted(state=ACTIVE), {}, []),
        # Somebody else's.
        (recorded(a1="out Ada"), wanted(state=ACTIVE, others=SKIP), recorded(a1="out Ada"), NAMES[:1]),
        (recorded(a1="out Ada"), wanted(state=ACTIVE, others=TAKE), {}, []),
        (recorded(a1="out Ada"), wanted(others=TAKE), recorded(a1="draining deploy"), []),
        (recorded(a1="out Ada"), wanted(state=OUT, others=TAKE), recorded(a1="out deploy"), []),
        (
            recorded(a1="out Ada"),
            wanted(*NAMES[:2], others=SKIP),
            recorded(a1="out Ada", a2="draining deploy"),
            NAMES[:1],
        ),
    ],
)
def test_states_and_owners(states, asked, after, skipped):
    found = plan(parse("shop", DECLARED, states), asked, NOW)
    got = render(states, found.changes)["members"]
    assert {name: (entry["state"], entry["owner"]) for name, entry in got.items()} == {
        name: (entry["state"], entry["owner"]) for name, entry in after.get("members", {}).items()
    }
    assert [member.name for member in found.skipped] == list(skipped)


@pytest.mark.parametrize("asked", [wanted(state=ACTIVE), wanted(state=ACTIVE, owner=""), wanted(), wanted(*NAMES[:3])])
def test_what_another_drained_is_not_touched_and_its_owner_is_named(asked):
    with pytest.raises(PoolError) as caught:
        plan(parse("shop", DECLARED, recorded(a1="out Ada")), asked, NOW)
    assert "app1:3000 is out by Ada since 2026-03-01T00:00:00Z (why). Nothing was changed" in str(caught.value)
    assert "when_owned_by_other: skip" in str(caught.value)


def test_a_state_keeps_its_time_while_reason_and_owner_change():
    states = recorded(a1="draining deploy")
    pool = parse("shop", DECLARED, states)

    def since(asked):
        return render(states, plan(pool, asked, NOW).changes)["members"][NAMES[0]]["since"]

    assert since(wanted(reason="other")) == BEFORE
    assert since(wanted(owner="Ada", others=TAKE)) == BEFORE
    assert since(wanted(state=OUT)) == NOW


@pytest.mark.parametrize(
    ("states", "failing_members", "asked", "said"),
    [
        ({}, [], wanted(*NAMES), "0 of 4 members would stay active; expected at least 1"),
        (
            {},
            [],
            wanted(*NAMES[:2], minimum_active=3),
            "2 of 4 members would stay active (app2:3000, [2001:db8::1]:3000)",
        ),
        (recorded(b1="out Ada", v6="out Ada"), [], wanted(*NAMES[:2]), "0 of 4 members would stay active"),
        ({}, NAMES[1:], wanted(), "0 of 4 members would stay active and not failing; expected at least 1"),
    ],
)
def test_the_last_ones_stay(states, failing_members, asked, said):
    with pytest.raises(PoolError) as caught:
        plan(parse("shop", DECLARED, states), asked, NOW, failing_members)
    assert said in str(caught.value)
    assert "minimum_active (0: all may leave)" in str(caught.value)


@pytest.mark.parametrize(
    ("states", "failing_members", "asked"),
    [
        ({}, [], wanted(*NAMES, minimum_active=0)),
        # Too few already, but none of those that count leaves.
        (recorded(a2="out deploy"), [], wanted(NAMES[1], minimum_active=4)),
        (recorded(a2="out deploy"), [], wanted(NAMES[1], state=ACTIVE, minimum_active=4)),
        ({}, NAMES, wanted()),
    ],
)
def test_the_minimum_forbids_only_leaving(states, failing_members, asked):
    plan(parse("shop", DECLARED, states), asked, NOW, failing_members)


member_states = st.dictionaries(
    st.sampled_from(NAMES),
    st.fixed_dictionaries(
        {
            "state": st.sampled_from(STATES),
            "owner": st.sampled_from(["Ada", "deploy"]),
            "reason": st.sampled_from(["", "why"]),
            "since": st.just(BEFORE),
        }
    ),
).map(lambda members: {"members": members})
asked_for = st.builds(
    Wanted,
    members=st.lists(st.sampled_from(NAMES), unique=True).map(tuple),
    state=st.sampled_from(STATES),
    owner=st.sampled_from(["Ada", "deploy"]),
    reason=st.sampled_from(["", "why", "other"]),
    others=st.sampled_from([FAIL, SKIP, TAKE]),
    minimum_active=st.integers(0, 4),
)


@given(member_states, asked_for)
def test_after_a_plan_there_is_nothing_left_to_do_and_nothing_else_changed(states, asked):
    pool = parse("shop", DECLARED, states)
    try:
        found = plan(pool, asked, NOW)
    except PoolError:
        return
    after = render(states, found.changes)
    again = parse("shop", DECLARED, after)
    assert plan(again, asked, "2026-03-03T00:00:00Z").changes == ()
    changed = {change.after.name for change in found.changes}
    skipped = {member.name for member in found.skipped}
    for name in NAMES:
        if name in asked.members and name not in skipped:
            assert again.at(name).state == asked.state
        if name not in changed:
            assert again.at(name) == pool.at(name)
    if asked.others != TAKE:
        assert all(change.before.owner in ("", asked.owner) for change in found.changes)
    active = sum(member.state == ACTIVE for member in pool.members)
    still = sum(member.state == ACTIVE for member in again.members)
    assert still >= min(active, asked.minimum_active)


def test_the_diff_has_a_line_for_each_member_that_changes():
    states = recorded(a1="out Ada")
    found = plan(parse("shop", DECLARED, states), wanted(*NAMES[:2], others=TAKE, reason="release 2"), NOW)
    assert describe(found.changes) == {
        "before": "app1:3000: out by Ada (why)\napp1:3001: active\n",
        "after": "app1:3000: draining by deploy (release 2)\napp1:3001: draining by deploy (release 2)\n",
    }


# What nginx says ---------------------------------------------------------------------------------------------------


def test_nginx_that_runs_other_states_than_the_files_is_noticed():
    states = recorded(a1="out Ada")
    pool = parse("shop", DECLARED, states)
    assert differs(in_nginx(states), pool) == ()
    assert differs(in_nginx({"members": {}}), pool) == ("app1:3000",)
    assert differs({"pools": {}}, pool) == NAMES
    assert failing(in_nginx(states, NAMES[:1]), "shop") == {"app1:3000"}
    assert failing({}, "shop") == frozenset()


def test_what_is_left_counts_websockets_only_when_asked_to():
    report = in_nginx({"members": {}}, **{"app1_3000": (2, 1), "app1_3001": (0, 5), "app2_3000": (7, 0)})
    assert left(report, "shop", NAMES[:2], websockets=False) == (Left("app1:3000", 2, 1),)
    assert left(report, "shop", NAMES[:2], websockets=True) == (Left("app1:3000", 2, 1), Left("app1:3001", 0, 5))
    assert left({}, "shop", NAMES, websockets=True) == ()
    assert str(Left("app1:3000", 2, 1)) == "app1:3000 has 2 requests and 1 websockets"


def test_information_comes_from_nginx_or_without_counts_from_the_files():
    states = recorded(a1="out Ada", old="out Ada")
    pool = parse("shop", DECLARED, states)
    found = info(pool, in_nginx(states, **{"app1_3001": (3, 4)}))
    assert found["active"] == 3
    assert found["undeclared"] == ["gone:1"]
    assert found["members"][0]["owner"] == "Ada"
    assert (found["members"][1]["in_flight"], found["members"][1]["websockets"]) == (3, 4)
    stopped = info(pool, None)
    assert [entry["state"] for entry in stopped["members"]] == [OUT, ACTIVE, ACTIVE, ACTIVE]
    assert stopped["members"][0]["in_flight"] is None


# Waiting ----------------------------------------------------------------------------------------------------------


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self):
        self.now = 50.0

    def read(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def waited(looks, *, timeout=10.0, quiet=3.0):
    """Wait with these looks, one a second; the last one repeats."""
    clock, remaining = Clock(), list(looks)
    one = (Left("app1:3000", 1, 0),)

    def observe():
        return one if (remaining.pop(0) if len(remaining) > 1 else remaining[0]) else ()

    return wait_drained(
        observe,
        timeout_seconds=timeout,
        quiet_seconds=quiet,
        clock=clock.read,
        pause=clock.sleep,
        interval_seconds=1.0,
    )


@pytest.mark.parametrize(
    ("looks", "quiet", "drained", "seconds"),
    [
        ([False], 3.0, True, 3.0),
        ([False], 0.0, True, 0.0),
        ([True, True, False], 3.0, True, 5.0),
        # A retry reached the member meanwhile: quiet begins anew.
        ([False, False, True, False], 3.0, True, 6.0),
        ([True], 3.0, False, 10.0),
        ([True] * 9 + [False], 3.0, False, 10.0),
    ],
)
def test_drained_is_who_had_nothing_for_long_enough(looks, quiet, drained, seconds):
    found = waited(looks, quiet=quiet)
    assert (found.drained, found.seconds) == (drained, seconds)
    assert bool(found.left) == (looks[-1] is True)
