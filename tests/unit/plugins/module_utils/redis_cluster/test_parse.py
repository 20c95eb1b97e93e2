"""What Redis 4 to 8 answers is read as it is meant."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster.model import RedisClusterError
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster.parse import parse_info, parse_nodes

REDIS_6 = (
    "07c37dfeb235213a872192d90877d0cd55635b91 127.0.0.1:30004@31004 slave e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca "
    "0 1426238317239 4 connected\n"
    "e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 127.0.0.1:30001@31001 myself,master - 0 0 1 connected 0-5460 9000\n"
)
REDIS_8 = (
    "e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 10.0.0.1:6379@16379,,tls-port=0,shard-id=60638fcef1a0 "
    "myself,master - 0 0 1 connected 0-5460 [93-<-292f8b365bb7edb5e285caf0b7e6ddc7265d2f4f]\n"
)


def test_roles_masters_and_slots_are_read():
    replica, master = parse_nodes(REDIS_6)
    assert replica.flags == {"slave"}
    assert replica.master_id == master.node_id
    assert replica.slots == ()
    assert master.flags == {"myself", "master"}
    assert master.master_id is None
    assert master.slots == ((0, 5460), (9000, 9000))


def test_newer_address_fields_and_moving_slots_are_understood():
    (master,) = parse_nodes(REDIS_8)
    assert master.slots == ((0, 5460),)


def test_a_handshake_is_no_member_yet():
    (member,) = parse_nodes("abc 10.0.0.2:6379@16379 handshake - 0 0 0 disconnected")
    assert member.joining


@pytest.mark.parametrize("line", ["abc", "abc :0 master - 0 0 1", "abc :0@0 master - 0 0 1 connected five"])
def test_an_unknown_form_is_refused(line):
    with pytest.raises(RedisClusterError, match="unknown form"):
        parse_nodes(line)


def test_info_is_read_with_either_line_end():
    assert parse_info("cluster_state:ok\r\ncluster_my_epoch:3\n\r\n") == {
        "cluster_state": "ok",
        "cluster_my_epoch": "3",
    }
