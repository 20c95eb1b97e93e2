"""Masters spread over hosts, and no replica lands on its master's host."""

from __future__ import annotations

from collections import Counter

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster.layout import (
    check_wanted,
    choose_masters,
    place_replicas,
    share_slots,
)
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster.model import (
    SLOTS,
    Endpoint,
    RedisClusterError,
    Wanted,
    slots_of,
)
from ansible_collections.slipway.stack.tests.unit.plugins.module_utils.redis_cluster.cluster_states import node, six
from hypothesis import assume, given
from hypothesis import strategies as st


def test_the_first_instance_of_each_host_is_a_master():
    assert choose_masters(six()) == (node(1), node(2), node(3))


def test_replicas_go_round_the_hosts():
    masters = choose_masters(six())
    free = [node(host, 6380) for host in (1, 2, 3)]
    assert place_replicas(masters, {}, free, 1) == {
        node(1, 6380): node(3),
        node(2, 6380): node(1),
        node(3, 6380): node(2),
    }


def test_two_replicas_of_a_master_are_on_two_hosts():
    wanted = Wanted(tuple(node(host, port) for host in (1, 2, 3) for port in (6379, 6380, 6381)), 2)
    masters = choose_masters(wanted)
    free = [one for one in wanted.nodes if one not in masters]
    placed = place_replicas(masters, {}, free, 2)
    for master in masters:
        hosts = [replica.host for replica, its in placed.items() if its == master]
        assert len(set(hosts)) == 2
        assert master.host not in hosts


def test_a_node_left_over_goes_where_the_fewest_replicas_are():
    wanted = Wanted((*six().nodes, node(4)), 1)
    masters = choose_masters(wanted)
    followers = {node(2, 6380): masters[0], node(3, 6380): masters[1], node(1, 6380): masters[2]}
    assert place_replicas(masters, followers, [node(4)], 1)[node(4)] in masters


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Wanted((node(1), node(2)), 0), "2 nodes with replicas=0 make 2 masters"),
        (Wanted((node(1), node(2), node(3), node(4)), 1), "give at least 6 nodes"),
        (Wanted(six().nodes, -1), "replicas: received -1"),
        (Wanted((node(1), node(2), node(1)), 0), "name each instance once"),
        (Wanted((node(1, 60000), node(2), node(3)), 0), "data1 .* has port 60000, expected 1 to 55535"),
        (Wanted((node(1, 0), node(2), node(3)), 0), "has port 0"),
    ],
)
def test_a_wish_that_cannot_be_fulfilled_is_refused_by_name(wanted, words):
    with pytest.raises(RedisClusterError, match=words):
        check_wanted(wanted)


def test_replicas_that_have_no_other_host_are_refused():
    wanted = Wanted(tuple(node(1, 6379 + index) for index in range(6)), 1)
    masters = choose_masters(wanted)
    with pytest.raises(RedisClusterError, match="spread the nodes over more hosts"):
        place_replicas(masters, {}, [one for one in wanted.nodes if one not in masters], 1)


@given(st.integers(3, 200))
def test_every_slot_has_one_master_and_shares_are_even(count):
    masters = [Endpoint(f"h{index}", f"a{index}", 6379) for index in range(count)]
    shares = [slots_of(ranges) for ranges in share_slots(masters).values()]
    assert set().union(*shares) == set(range(SLOTS))
    assert sum(len(share) for share in shares) == SLOTS
    assert max(len(share) for share in shares) - min(len(share) for share in shares) <= 1


@given(st.lists(st.integers(1, 4), min_size=3, max_size=7))
def test_with_one_replica_a_placement_is_found_whenever_one_exists(instances_per_host):
    nodes = tuple(
        node(host, 6379 + index) for host, count in enumerate(instances_per_host, 1) for index in range(count)
    )
    wanted = Wanted(nodes, 1)
    assume(len(nodes) % 2 == 0 and wanted.masters >= 3)
    masters = choose_masters(wanted)
    free = [one for one in nodes if one not in masters]
    # A host can hold at most one instance of each pair.
    if max(instances_per_host) > wanted.masters:
        with pytest.raises(RedisClusterError):
            place_replicas(masters, {}, free, 1)
        return
    placed = place_replicas(masters, {}, free, 1)
    assert set(placed) == set(free)
    assert all(replica.host != master.host for replica, master in placed.items())
    assert set(Counter(placed.values()).values()) == {1}
