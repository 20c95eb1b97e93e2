"""Observed and wanted topology -> actions: tables, refusals, and the property that planning again is empty."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster.model import (
    AddSlots,
    Meet,
    Member,
    RedisClusterError,
    Replicate,
    SetEpoch,
    State,
    Wanted,
)
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster.plan import (
    describe,
    fresh,
    misplaced,
    obstacles,
    plan,
    predict,
    unacquainted,
    unsettled,
)
from ansible_collections.slipway.stack.tests.unit.plugins.module_utils.redis_cluster.cluster_states import (
    formed,
    node,
    six,
    untouched,
    view,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st

SHARES = [(0, 5460), (5461, 10921), (10922, 16383)]


def fresh_members(node_id: str) -> list[Member]:
    """What an instance lists that knows nobody."""
    return [Member(node_id, frozenset({"myself", "master"}))]


def whole() -> State:
    """The demo's cluster as it is created."""
    return formed(
        dict(zip([node(1), node(2), node(3)], SHARES)),
        {node(1, 6380): node(3), node(2, 6380): node(1), node(3, 6380): node(2)},
    )


def test_new_instances_become_a_cluster():
    actions = plan(untouched(six()), six())
    assert [action for action in actions if isinstance(action, SetEpoch)] == [
        SetEpoch(endpoint, epoch) for epoch, endpoint in enumerate(six().nodes, 1)
    ]
    assert [action for action in actions if isinstance(action, AddSlots)] == [
        AddSlots(node(1), ((0, 5460),)),
        AddSlots(node(2), ((5461, 10921),)),
        AddSlots(node(3), ((10922, 16383),)),
    ]
    assert sum(isinstance(action, Meet) for action in actions) == 15
    assert actions[-3:] == (
        Replicate(node(1, 6380), node(3)),
        Replicate(node(2, 6380), node(1)),
        Replicate(node(3, 6380), node(2)),
    )


def test_a_cluster_in_service_needs_nothing():
    state = whole()
    assert plan(state, six()) == ()
    assert obstacles(state) == ()
    assert misplaced(state) == ()


def test_roles_swapped_by_a_failover_need_nothing():
    state = formed(
        {node(2, 6380): SHARES[0], node(2): SHARES[1], node(1, 6380): SHARES[2]},
        {node(1): node(2, 6380), node(3): node(1, 6380), node(3, 6380): node(2)},
    )
    assert plan(state, six()) == ()


def test_an_instance_that_came_back_empty_rejoins_as_a_replica_of_the_lonely_master():
    state = formed(
        dict(zip([node(1), node(2), node(3)], SHARES)),
        {node(1, 6380): node(3), node(2, 6380): node(1)},
    )
    actions = plan(State((*state.views, fresh(node(3, 6380)))), six())
    assert actions[-1] == Replicate(node(3, 6380), node(2))
    assert {type(action) for action in actions} == {Meet, Replicate}


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_planning_again_after_applying_is_empty_even_when_a_run_was_cut_short(data):
    per_host = data.draw(st.lists(st.integers(1, 3), min_size=3, max_size=6))
    replicas = data.draw(st.integers(0, 2))
    nodes = tuple(node(host, 6379 + index) for host, count in enumerate(per_host, 1) for index in range(count))
    wanted = Wanted(nodes, replicas)
    assume(wanted.masters >= 3)
    state = untouched(wanted)
    try:
        actions = plan(state, wanted)
    except RedisClusterError:
        assume(False)
    done = data.draw(st.integers(0, len(actions)))
    cut_short = predict(state, actions[:done])
    rest = plan(cut_short, wanted)
    finished = predict(cut_short, rest)
    assert plan(finished, wanted) == ()
    assert obstacles(finished) == ()
    assert misplaced(finished) == ()


def lost_shard() -> State:
    """The third master is gone and its slots with it; a new, empty instance stands in its place."""
    state = whole()
    lost = state.view(node(3)).own

    def without(members: tuple[Member, ...]) -> tuple[Member, ...]:
        return tuple(member for member in members if member.node_id != lost.node_id)

    kept = [replace(one, members=without(one.members)) for one in state.views if one.endpoint != node(3)]
    return State((*kept, fresh(node(3))))


@pytest.mark.parametrize(
    ("state", "wanted", "words"),
    [
        pytest.param(
            State((*untouched(six()).views[:5], replace(fresh(node(3, 6380)), keys=7))),
            six(),
            r"data3 \(10.0.0.13:6380\) holds 7 keys",
            id="keys outside of a cluster",
        ),
        pytest.param(
            State((*whole().views[:5],)),
            Wanted(six().nodes[:5], 0),
            "in a cluster with nodes that are not in nodes",
            id="a member that is not named",
        ),
        pytest.param(lost_shard(), six(), "10922-16383 of an existing cluster are served by nobody", id="lost slots"),
        pytest.param(
            whole(), Wanted(six().nodes, 0), "make 6 masters, but the existing cluster has 3", id="slots would move"
        ),
        pytest.param(
            State(
                (
                    *formed({node(1): (0, 16383)}, {}).views,
                    *formed({node(2): (0, 16383)}, {}).views,
                    fresh(node(3)),
                )
            ),
            Wanted((node(1), node(2), node(3)), 0),
            "they belong to two clusters",
            id="two clusters",
        ),
        pytest.param(untouched(six()), Wanted(six().nodes[:4], 1), "at least 3", id="too few masters"),
    ],
)
def test_what_could_lose_data_is_refused(state, wanted, words):
    with pytest.raises(RedisClusterError, match=words):
        plan(state, wanted)


def test_a_handshake_is_waited_for():
    members = [Member("a", frozenset({"myself", "master"})), Member("b", frozenset({"handshake"}))]
    assert "shaking hands" in unsettled(State((view(node(1), "a", members),)))[0]


def test_a_failover_that_not_all_have_heard_of_is_waited_for():
    mine = Member("a", frozenset({"myself", "master"}), None, ((0, 9),))
    theirs = Member("b", frozenset({"myself", "master"}), None, ((0, 9),))
    other = Member("b", frozenset({"slave"}), "a")
    state = State((view(node(1), "a", [mine, other]), view(node(2), "b", [theirs, replace(mine, slots=())])))
    assert "both claim slots" in unsettled(state)[0]


def test_obstacles_name_node_and_reason():
    one = view(node(1), "a", fresh_members("a"), state_ok=False, link_up=False)
    two = view(node(2), "b", fresh_members("b"))
    text = " ".join(obstacles(State((one, two))))
    assert "data1 (10.0.0.11:6379) reports cluster_state:fail" in text
    assert "data1 (10.0.0.11:6379) is not in sync with its master" in text
    assert "data2 (10.0.0.12:6379) does not know 1 of the other nodes yet" in text
    assert len(unacquainted(State((one, two)))) == 2


def test_a_replica_beside_its_master_is_told():
    state = formed({node(1): (0, 16383)}, {node(1, 6380): node(1)})
    assert "on its own host" in misplaced(state)[0]


def test_the_topology_reads_well():
    assert describe(whole()).splitlines()[0] == "data1 (10.0.0.11:6379): master of 0-5460"
    assert describe(whole()).splitlines()[3] == "data1 (10.0.0.11:6380): replica of data3 (10.0.0.13:6379)"
    assert describe(untouched(six())).splitlines()[0] == "data1 (10.0.0.11:6379): in no cluster"
