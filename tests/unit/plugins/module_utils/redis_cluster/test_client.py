"""Answers and errors of redis-py become views and messages that name the node."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster.client import Client, Loading, Unreachable
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster.model import (
    AddSlots,
    Meet,
    Pulse,
    RedisClusterError,
    Replicate,
    SetEpoch,
    State,
    Wanted,
)
from ansible_collections.slipway.stack.plugins.module_utils.redis_cluster.plan import fresh
from ansible_collections.slipway.stack.tests.unit.plugins.module_utils.redis_cluster.cluster_states import node, view

errors = pytest.importorskip("redis").exceptions

ANSWERS = {
    ("CLUSTER", "NODES"): "aaa 10.0.0.11:6379@16379 myself,slave bbb 0 0 3 connected\n",
    ("CLUSTER", "INFO"): "cluster_state:ok\r\ncluster_my_epoch:3\r\n",
    ("INFO", "replication"): {"role": "slave", "master_link_status": "down"},
    ("DBSIZE",): 5,
}


class Connection:
    """Answers from a table, or always with one error."""

    def __init__(self, answers=None, error=None):
        self.answers = answers or {}
        self.error = error
        self.calls = []

    def execute_command(self, *words):
        self.calls.append(words)
        if self.error:
            raise self.error
        return self.answers.get(words, "OK")


def client(connection):
    return Client("s3cret", lambda endpoint: connection)


def test_a_view_holds_what_the_instance_says():
    seen = client(Connection(ANSWERS)).view(node(1))
    assert seen.node_id == "aaa"
    assert seen.master_id == "bbb"
    assert seen.state_ok
    assert seen.config_epoch == 3
    assert seen.keys == 5
    assert not seen.link_up


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (errors.AuthenticationError("invalid username-password pair"), RedisClusterError, "password: data1"),
        (errors.ResponseError("NOAUTH Authentication required."), RedisClusterError, "password: data1"),
        (errors.BusyLoadingError("loading"), Loading, "still loading"),
        (errors.ConnectionError("refused"), Unreachable, r"nodes: data1 \(10.0.0.11:6379\) does not answer"),
        (errors.TimeoutError("late"), Unreachable, "does not answer"),
        (
            errors.ResponseError("This instance has cluster support disabled"),
            RedisClusterError,
            "set cluster-enabled yes",
        ),
        (errors.ResponseError("unknown"), RedisClusterError, "refused CLUSTER NODES"),
    ],
)
def test_errors_name_the_node_and_the_fix_but_never_the_password(error, kind, words):
    with pytest.raises(kind, match=words) as raised:
        client(Connection(error=error)).view(node(1))
    assert "s3cret" not in str(raised.value)


def test_who_does_not_answer_may_be_taken_for_new():
    wanted = Wanted((node(1),), 0)
    silent = client(Connection(error=errors.ConnectionError("refused")))
    assert silent.state(wanted, fresh) == State((fresh(node(1)),))


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (SetEpoch(node(1), 4), ("CLUSTER", "SET-CONFIG-EPOCH", 4)),
        (AddSlots(node(1), ((0, 2), (7, 7))), ("CLUSTER", "ADDSLOTS", 0, 1, 2, 7)),
        (Meet(node(1), node(2, 6380)), ("CLUSTER", "MEET", "10.0.0.12", 6380)),
        (Replicate(node(1), node(2)), ("CLUSTER", "REPLICATE", "id-2")),
    ],
)
def test_each_action_is_one_command(action, words):
    connection = Connection()
    client(connection).apply(action, State((view(node(1), "id-1", []), view(node(2), "id-2", []))))
    assert connection.calls == [words]


@pytest.mark.parametrize(
    ("answers", "pulse"),
    [
        ({("INFO", "cluster"): {"cluster_enabled": 0}}, Pulse(0, True)),
        (
            {
                ("INFO", "cluster"): "# Cluster\r\ncluster_enabled:1\r\n",
                ("CLUSTER", "INFO"): "cluster_state:fail\r\ncluster_slots_assigned:16384\r\n",
            },
            Pulse(16384, False),
        ),
    ],
)
def test_a_pulse_tells_whether_the_instance_serves(answers, pulse):
    assert client(Connection(answers)).pulse(node(1)) == pulse
