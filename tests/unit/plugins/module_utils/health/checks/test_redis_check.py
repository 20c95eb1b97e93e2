# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Redis: a server, and the cluster that it is in."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.checks.redis import (
    ServerState,
    parse_nodes,
    parse_pairs,
)
from ansible_collections.slipway.stack.plugins.module_utils.health.model import CouldNotRun, Status, Unreachable
from ansible_collections.slipway.stack.plugins.module_utils.health.tools import Tools

OK, WARNING, CRITICAL = Status.OK, Status.WARNING, Status.CRITICAL
INFO = {"role": "master", "redis_version": "8.0.2", "used_memory": 10_000_000, "maxmemory": 100_000_000}

NODES = """\
m1 10.0.0.1:6379@16379,host1 myself,master - 0 0 1 connected 0-5460
m2 10.0.0.2:6379@16379 master - 0 1 2 connected 5461-10922
m3 10.0.0.3:6379@16379 master - 0 1 3 connected 10923-16383
r1 10.0.0.2:6380@16380 slave m1 0 1 1 connected
r2 10.0.0.3:6380@16380 slave m2 0 1 2 connected
r3 10.0.0.1:6380@16380 slave m3 0 1 3 connected
"""
CLUSTER = "cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_slots_fail:0\r\n"


def state(nodes: str = NODES, cluster: str = CLUSTER, **info: Any) -> ServerState:
    return ServerState({**INFO, **info}, 3.0, parse_pairs(cluster), tuple(parse_nodes(nodes)))


def test_reads_nodes() -> None:
    nodes = parse_nodes(NODES + "m4 [::1]:7000@17000 master,fail? - 0 1 4 disconnected 5 7-9 [3->-m1]\n\nvars x\n")
    assert [node.slots for node in nodes] == [5461, 5462, 5461, 0, 0, 0, 4]
    assert nodes[-1].name == "[::1]:7000" or nodes[-1].address == "::1"
    assert nodes[0].is_master
    assert nodes[3].master == "m1"
    assert not nodes[-1].failed


@pytest.mark.parametrize(
    ("options", "seen", "status", "words"),
    [
        ({}, state(), OK, "cluster ok, 16384 slots, 6 nodes"),
        ({"nodes": 6}, state(), OK, ""),
        ({"nodes": 7}, state(), WARNING, "knows 6 nodes, wanted are 7"),
        (
            {},
            state(cluster="cluster_state:fail\r\ncluster_slots_assigned:10923\r\n"),
            CRITICAL,
            "5461 of 16384 slots are assigned to no node",
        ),
        (
            {},
            state(cluster="cluster_state:fail\r\ncluster_slots_assigned:16384\r\ncluster_slots_fail:5461\r\n"),
            CRITICAL,
            "5461 slots are on failed nodes",
        ),
        ({}, state(cluster="cluster_state:fail\r\ncluster_slots_assigned:16384\r\n"), CRITICAL, "state fail"),
        (
            {},
            state(NODES.replace("r1 10.0.0.2", "r1 10.0.0.1")),
            WARNING,
            "master 10.0.0.1:6379 has 0 of 1 replicas on other hosts, 1 on its own host",
        ),
        ({}, state(NODES.replace("slave m3", "slave,fail m3")), WARNING, "master 10.0.0.3:6379 has 0 of 1"),
        ({}, state(NODES.replace("slave m3", "slave,fail m3")), WARNING, "down: 10.0.0.1:6380"),
        ({"replicas": 0}, state(NODES.replace("r1 10.0.0.2", "r1 10.0.0.1")), OK, ""),
        ({"replicas": 2}, state(), WARNING, "has 1 of 2 replicas"),
        ({}, ServerState(INFO, 3.0, {"cluster_enabled": "0"}), CRITICAL, "in no cluster"),
    ],
)
def test_judges_a_cluster(
    make_check: Callable[..., Any], options: dict[str, Any], seen: ServerState, status: Status, words: str
) -> None:
    outcome = make_check(type="redis", cluster=True, **options).judge(seen)
    assert outcome.status is status
    assert words in outcome.message
    assert bool(outcome.next_step) == (status is not OK)


@pytest.mark.parametrize(
    ("options", "info", "status", "words"),
    [
        ({}, {}, OK, "10 % of 100.0 MB"),
        ({}, {"used_memory": 80_000_000}, WARNING, "80 % of maxmemory"),
        ({}, {"used_memory": 96_000_000}, CRITICAL, "96 % of maxmemory"),
        ({}, {"used_memory": 99_000_000, "maxmemory_policy": "allkeys-lru"}, OK, ""),
        ({}, {"maxmemory": 0}, OK, ""),
        ({"role": "replica"}, {}, CRITICAL, "is a master"),
        ({"role": "replica"}, {"role": "slave"}, OK, "replica"),
        ({}, {"role": "slave", "master_link_status": "down"}, WARNING, "link to its master"),
        ({}, {"rdb_last_bgsave_status": "err"}, WARNING, "snapshot failed"),
        ({}, {"aof_last_write_status": "err"}, WARNING, "append-only file"),
    ],
)
def test_judges_a_server(
    make_check: Callable[..., Any], options: dict[str, Any], info: dict[str, Any], status: Status, words: str
) -> None:
    outcome = make_check(type="redis", **options).judge(ServerState({**INFO, **info}, 3.0))
    assert outcome.status is status
    assert words in outcome.message


class FakeError(Exception):
    """Stands for redis.exceptions.RedisError."""


def with_client(client: Any) -> Tools:
    module = SimpleNamespace(Redis=lambda **options: client, exceptions=SimpleNamespace(RedisError=FakeError))
    return Tools(load=lambda name: module)


class Client:
    """A client of a cluster that answers, or fails with a text."""

    def __init__(self, error: str = "") -> None:
        self.error = error
        self.closed = False

    def ping(self) -> None:
        if self.error:
            raise FakeError(self.error)

    def info(self) -> dict[str, Any]:
        return {**INFO, "cluster_enabled": 1}

    def execute_command(self, *words: str) -> str:
        return {("CLUSTER", "INFO"): CLUSTER, ("CLUSTER", "NODES"): NODES}[words]  # type: ignore[index]

    def close(self) -> None:
        self.closed = True


def test_asks(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    client = Client()
    assert look(make_check(type="redis", cluster=True), with_client(client)).status is OK
    assert client.closed


@pytest.mark.parametrize(
    ("said", "words", "step"),
    [
        ("Error 111 connecting to 10.0.0.1:6379. Connection refused.", "refused: nothing listens", "start Redis"),
        ("Timeout reading from socket", "no answer", "firewall"),
        ("WRONGPASS invalid username-password pair", "refuses the password", "correct the password"),
        ("NOAUTH Authentication required.", "refuses the password", "correct the password"),
        ("NOPERM this user has no permissions to run 'info'", "refuses a command", "ACL"),
        ("LOADING Redis is loading the dataset in memory", "loading its data", "wait"),
        ("something new", "something new", "log"),
    ],
)
def test_explains(make_check: Callable[..., Any], look: Callable[..., Any], said: str, words: str, step: str) -> None:
    client = Client(said)
    with pytest.raises(Unreachable) as caught:
        look(make_check(type="redis"), with_client(client))
    assert words in caught.value.message
    assert step in caught.value.next_step
    assert client.closed


def test_a_missing_library_could_not_run(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    def load(name: str) -> Any:
        raise ImportError(name)

    with pytest.raises(CouldNotRun) as caught:
        look(make_check(type="redis"), Tools(load=load))
    assert caught.value.next_step == "install the package python3-redis"
