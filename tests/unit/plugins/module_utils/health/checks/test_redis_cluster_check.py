# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Redis Cluster: judged from what its nodes say, and asked through any of them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.checks.redis_cluster import (
    SLOTS,
    ClusterState,
    Node,
    View,
    free_slots,
    parse_nodes,
    ranges_text,
)
from ansible_collections.slipway.stack.plugins.module_utils.health.model import Status, Unreachable
from ansible_collections.slipway.stack.plugins.module_utils.health.redis_login import parse_pairs
from ansible_collections.slipway.stack.plugins.module_utils.health.tools import Tools
from hypothesis import given, settings
from hypothesis import strategies as st

OK, WARNING, CRITICAL = Status.OK, Status.WARNING, Status.CRITICAL

NODES = """\
m1 10.0.0.1:6379@16379,host1 master - 0 0 1 connected 0-5460
m2 10.0.0.2:6379@16379 master - 0 1 2 connected 5461-10922
m3 10.0.0.3:6379@16379 master - 0 1 3 connected 10923-16383
r1 10.0.0.2:6380@16380 slave m1 0 1 1 connected
r2 10.0.0.3:6380@16380 slave m2 0 1 2 connected
r3 10.0.0.1:6380@16380 slave m3 0 1 3 connected
"""
INFO = "cluster_state:ok\r\ncluster_slots_assigned:16384\r\n"
IDENTITIES = {
    "10.0.0.1:6379": "m1",
    "10.0.0.2:6379": "m2",
    "10.0.0.3:6379": "m3",
    "10.0.0.2:6380": "r1",
    "10.0.0.3:6380": "r2",
    "10.0.0.1:6380": "r3",
}
REFUSED = "connection refused: nothing listens there"


def view(address: str, nodes: str = NODES, info: str = INFO, **fields: Any) -> View:
    """What one node says of a cluster."""
    said = said_by(IDENTITIES.get(address, address), nodes)
    return View(address, parse_pairs(info), tuple(parse_nodes(said)), **fields)


def said_by(own: str, nodes: str = NODES) -> str:
    """CLUSTER NODES as the node of this identity says it."""
    return re.sub(rf"^({own} \S+) ", r"\1 myself,", nodes, flags=re.M)


def state(
    nodes: str = NODES,
    info: str = INFO,
    silent: dict[str, str] | None = None,
    others: tuple[View, ...] = (),
) -> ClusterState:
    """All nodes that are not silent and do not say something of their own say the same."""
    apart = {*(silent or {}), *(other.asked for other in others)}
    known = {f"{node.address}:{node.port}" for node in parse_nodes(nodes)}
    views = [view(address, nodes, info) for address in IDENTITIES if address in known and address not in apart]
    return ClusterState((*views, *others), silent or {})


def test_reads_nodes() -> None:
    nodes = parse_nodes(
        NODES + "m4 [::1]:7000@17000 master,fail? - 0 1 4 disconnected 5 7-9 [3->-m1]\n\nvars x\n"
        "n5 :0@0 master,noaddr - 0 1 4 disconnected\n"
    )
    assert [node.slot_count for node in nodes] == [5461, 5462, 5461, 0, 0, 0, 4, 0]
    assert nodes[6].name == "[::1]:7000"
    assert nodes[0].is_master
    assert nodes[3].master == "m1"
    assert not nodes[6].failed
    assert not nodes[6].connected
    assert nodes[7].failed


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, SLOTS - 1), st.integers(0, 3000)), max_size=8))
def test_free_slots_are_those_that_nobody_has(spans: list[tuple[int, int]]) -> None:
    slots = tuple((first, min(first + length, SLOTS - 1)) for first, length in spans)
    nodes = [Node(str(n), "a", 1, ("master",), "", True, (one,)) for n, one in enumerate(slots)]
    owned = {slot for first, last in slots for slot in range(first, last + 1)}
    free = [slot for first, last in free_slots(nodes) for slot in range(first, last + 1)]
    assert free == [slot for slot in range(SLOTS) if slot not in owned]


def test_ranges_are_shortened() -> None:
    assert ranges_text([(0, 9), (11, 11)]) == "0-9, 11"
    assert ranges_text([(n, n) for n in range(0, 14, 2)]) == "0, 2, 4, 6, 8, ..."


HOST_3 = {"10.0.0.3:6379": REFUSED, "10.0.0.3:6380": REFUSED}
FAILED_OVER = (
    NODES.replace(
        "m3 10.0.0.3:6379@16379 master - 0 1 3 connected 10923-16383",
        "m3 10.0.0.3:6379@16379 master,fail - 0 1 3 disconnected",
    )
    .replace(
        "r3 10.0.0.1:6380@16380 slave m3 0 1 3 connected", "r3 10.0.0.1:6380@16380 master - 0 1 4 connected 10923-16383"
    )
    .replace("r2 10.0.0.3:6380@16380 slave m2", "r2 10.0.0.3:6380@16380 slave,fail m2")
)
WITHOUT_R3 = "".join(line for line in NODES.splitlines(keepends=True) if not line.startswith("r3"))


@pytest.mark.parametrize(
    ("options", "seen", "status", "words"),
    [
        ({}, state(), OK, "cluster ok, 16384 slots on 3 masters, 6 nodes on 3 hosts, 6 of them answer"),
        ({"size": 6}, state(), OK, ""),
        ({"size": 7}, state(), WARNING, "the cluster has 6 nodes, wanted are 7"),
        # State and slots
        ({}, state(info="cluster_state:fail\r\n"), CRITICAL, "the cluster is in state fail"),
        (
            {},
            state(others=(view("10.0.0.3:6379", info="cluster_state:fail\r\n"),)),
            CRITICAL,
            "not every node is in state ok: 10.0.0.3:6379 (fail)",
        ),
        (
            {},
            state(NODES.replace(" 0-5460", " 100-5460"), "cluster_state:fail\r\n"),
            CRITICAL,
            "100 of 16384 slots are assigned to no node (0-99)",
        ),
        # What is down
        (
            {},
            state(silent={"10.0.0.1:6379": REFUSED}),
            CRITICAL,
            f"down: 10.0.0.1:6379 ({REFUSED}), and slots 0-5460 are not served",
        ),
        ({}, state(silent={"10.0.0.1:6380": REFUSED}), WARNING, f"down: 10.0.0.1:6380 ({REFUSED})"),
        ({}, state(silent=HOST_3), CRITICAL, "host 10.0.0.3 is missing with 10.0.0.3:6379, 10.0.0.3:6380"),
        ({}, state(FAILED_OVER, silent=HOST_3), WARNING, "host 10.0.0.3 is missing with 10.0.0.3:6379, 10.0.0.3:6380"),
        ({}, state(FAILED_OVER, silent=HOST_3), WARNING, "master 10.0.0.2:6379 has 0 of 1 replicas"),
        (
            {},
            state(NODES.replace("slave m3", "slave,fail m3"), silent={"10.0.0.1:6380": REFUSED}),
            WARNING,
            f"down: 10.0.0.1:6380 ({REFUSED})",
        ),
        # Replicas
        (
            {},
            state(NODES.replace("r1 10.0.0.2:6380", "r1 10.0.0.1:6381")),
            WARNING,
            "master 10.0.0.1:6379 has 0 of 1 replicas on other hosts, 1 on its own host",
        ),
        ({"replicas": 0}, state(NODES.replace("r1 10.0.0.2:6380", "r1 10.0.0.1:6381")), OK, ""),
        ({"replicas": 2}, state(), WARNING, "has 1 of 2 replicas"),
        (
            {},
            state(others=(view("10.0.0.1:6380", replication={"role": "slave", "master_link_status": "down"}),)),
            WARNING,
            "replica 10.0.0.1:6380 has no link to 10.0.0.3:6379",
        ),
        # Members
        (
            {},
            state(silent={"10.0.0.9:6379": REFUSED}),
            WARNING,
            f"10.0.0.9:6379 is missing: {REFUSED}",
        ),
        (
            {"size": 6},
            state(WITHOUT_R3, others=(view("x", "x 10.0.0.1:6380@16380 master - 0 0 0 connected\n"),)),
            WARNING,
            "x is no member of the cluster",
        ),
        # Views and links
        (
            {},
            state(others=(view("10.0.0.3:6379", WITHOUT_R3),)),
            WARNING,
            "1 of 6 nodes see another cluster than the rest: 10.0.0.3:6379 (16384 slots, 5 nodes)",
        ),
        (
            {},
            state(others=(view("10.0.0.3:6379", NODES.replace("0 0 1 connected", "0 0 1 disconnected")),)),
            WARNING,
            "10.0.0.1:6379 cannot be reached by 10.0.0.3:6379",
        ),
        (
            {},
            state(others=(view("10.0.0.3:6379", NODES.replace("16379,host1 master", "16379,host1 master,fail?")),)),
            WARNING,
            "10.0.0.1:6379 cannot be reached by 10.0.0.3:6379",
        ),
        ({}, state(others=(view("10.0.0.3:6379", took_ms=1200.0),)), WARNING, "10.0.0.3:6379 took 1200 ms"),
        ({}, ClusterState((View("10.0.0.1:6379", {}),)), CRITICAL, "10.0.0.1:6379 runs without cluster support"),
    ],
)
def test_judges(
    make_check: Callable[..., Any], options: dict[str, Any], seen: ClusterState, status: Status, words: str
) -> None:
    outcome = make_check(type="redis_cluster", **options).judge(seen)
    assert outcome.status is status, outcome.message
    assert words in outcome.message
    assert bool(outcome.next_step) == (status is not OK)


def test_the_view_of_most_counts(make_check: Callable[..., Any]) -> None:
    alone = view("10.0.0.3:6379", "m3 10.0.0.3:6379@16379 master - 0 1 3 connected 10923-16383\n")
    outcome = make_check(type="redis_cluster").judge(state(others=(alone,)))
    assert outcome.measures["nodes"] == 6
    assert "see another cluster" in outcome.message


class FakeError(Exception):
    """Stands for redis.exceptions.RedisError."""


class Network:
    """Fake servers by address: texts of CLUSTER NODES, or what befalls a client."""

    def __init__(self, servers: dict[str, Any]) -> None:
        self.servers = servers
        self.asked: list[str] = []
        exceptions = SimpleNamespace(RedisError=FakeError, ResponseError=FakeError)
        module = SimpleNamespace(Redis=self.client, exceptions=exceptions)
        self.tools = Tools(load=lambda name: module)

    def client(self, host: str, port: int, **options: Any) -> Any:
        address = f"{host}:{port}"
        self.asked.append(address)
        server = self.servers.get(address, FakeError("Connection refused."))

        def info(section: str) -> dict[str, Any]:
            if isinstance(server, Exception):
                raise server
            if isinstance(server, float):
                time.sleep(server)
                raise FakeError("Timeout reading from socket")
            return {"role": "master"} if section == "replication" else {"cluster_enabled": int(server != "alone")}

        def execute(*words: str) -> str:
            return INFO if words[1] == "INFO" else server

        return SimpleNamespace(info=info, execute_command=execute, close=lambda: None)


def whole() -> dict[str, Any]:
    return {address: said_by(own) for address, own in IDENTITIES.items()}


def test_finds_all_nodes_from_one(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    network = Network(whole())
    outcome = look(make_check(type="redis_cluster", host="10.0.0.2"), network.tools)
    assert outcome.status is OK, outcome.message
    assert sorted(network.asked) == sorted(IDENTITIES)


def test_one_start_that_is_down_does_not_hide_the_rest(
    make_check: Callable[..., Any], look: Callable[..., Any]
) -> None:
    servers = {**whole(), "10.0.0.1:6380": FakeError("Error 111. Connection refused.")}
    nodes = ["10.0.0.1:6380", "10.0.0.1:6379"]
    outcome = look(make_check(type="redis_cluster", nodes=nodes), Network(servers).tools)
    assert outcome.status is WARNING
    assert "down: 10.0.0.1:6380 (connection to 10.0.0.1:6380 refused: nothing listens there)" in outcome.message


def test_a_node_that_hangs_holds_up_nobody(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    servers = {**whole(), "10.0.0.3:6379": 2.0}
    check = make_check(type="redis_cluster", nodes=list(IDENTITIES), timeout_seconds=0.5)
    started = time.monotonic()
    outcome = look(check, Network(servers).tools)
    assert time.monotonic() - started < 0.5
    assert outcome.status is CRITICAL
    assert "down: 10.0.0.3:6379" in outcome.message
    assert "slots 10923-16383 are not served" in outcome.message


def test_a_node_that_knows_no_address_of_its_own_has_the_one_it_was_asked_at(
    make_check: Callable[..., Any], look: Callable[..., Any]
) -> None:
    alone = "m1 :6379@16379 myself,master - 0 0 0 connected 0-16383\n"
    check = make_check(type="redis_cluster", replicas=0)
    outcome = look(check, Network({"127.0.0.1:6379": alone}).tools)
    assert outcome.status is OK, outcome.message
    assert "1 nodes on 1 hosts" in outcome.seen


@pytest.mark.parametrize(
    ("servers", "words"),
    [({}, "no node answers: connection to 10.0.0.1:6379 refused"), ({"10.0.0.1:6379": FakeError("NOAUTH")}, "NOAUTH")],
)
def test_says_when_nobody_answers(
    make_check: Callable[..., Any], look: Callable[..., Any], servers: dict[str, Any], words: str
) -> None:
    with pytest.raises(Unreachable, match=words):
        look(make_check(type="redis_cluster", nodes=["10.0.0.1:6379", "10.0.0.2:6379"]), Network(servers).tools)


def test_a_lone_start_tells_its_own_trouble(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    with pytest.raises(Unreachable) as caught:
        look(make_check(type="redis_cluster", host="10.0.0.1"), Network({}).tools)
    assert caught.value.message == "connection to 10.0.0.1:6379 refused: nothing listens there"


def test_servers_without_cluster_support_are_no_cluster(
    make_check: Callable[..., Any], look: Callable[..., Any]
) -> None:
    outcome = look(make_check(type="redis_cluster"), Network({"127.0.0.1:6379": "alone"}).tools)
    assert outcome.status is CRITICAL
    assert "without cluster support" in outcome.message
