"""Members leave and come back, in changing subsets, while clients use what is left: nobody notices, nothing reloads."""

from __future__ import annotations

import itertools
import json
import random
import time
from contextlib import ExitStack

import pytest

from tests.support.http import Client
from tests.support.load import Load
from tests.support.pools import SOCKET, pool, states
from tests.support.say import say
from tests.support.sockets import Sockets
from tests.support.stack import Stack
from tests.support.wait import wait_for

EDGES = ("edge1", "edge2")
MEMBERS = ("app1:3001", "app1:3002", "app2:3001", "app2:3002")
DRAINS = 20
OWNER = "test"
HOSTS = ("app1", "app2")
STATES = "/var/lib/slipway/pool"
ENDS = "/run/slipway-test-ends"
# Every subset that leaves somebody, once, and then some again.
SUBSETS = [subset for size in (1, 2, 3) for subset in itertools.combinations(MEMBERS, size)]


def set_members(stack: Stack, members: tuple[str, ...], state: str, **options: object) -> None:
    """On all edges at the same time, by the module."""
    done = stack.module(
        "edge", "pool_member", application="shop", members=list(members), state=state, owner=OWNER, **options
    )
    assert done.status == 0, done.output


def processes(stack: Stack) -> dict[str, str]:
    """nginx's own on each edge: a reload or restart changes them."""
    return {edge: stack.shell(edge, "cat /run/nginx.pid; pgrep -P $(cat /run/nginx.pid)") for edge in EDGES}


def asked(stack: Stack, edge: str, number: int = 40) -> list[tuple[int, str]]:
    """Status and member of each of some requests."""
    client = Client(stack, edge=edge)
    try:
        found = [client.get("/whoami") for _number in range(number)]
    finally:
        client.close()
    return [(answer.status, answer.headers.get("x-member", "")) for answer in found]


def ends(stack: Stack) -> list[tuple[float, str]]:
    """When the programs of which members were ended, by the host's clock, which is this machine's."""
    found = []
    for host in HOSTS:
        for line in stack.shell(host, f"cat {ENDS} 2> /dev/null || true").splitlines():
            when, port = line.split()
            found.append((float(when), f"{host}:{port}"))
    return found


def unexpected(ended: list[tuple[float, str]], expected: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Websockets that ended without their member's program."""
    return [
        (when, member)
        for when, member in ended
        if not any(member == whose and 0 <= when - begun < 2 for begun, whose in expected)
    ]


@pytest.fixture(autouse=True)
def all_active(edges):
    """Every member is active before a test and after it, and its programs run."""

    def reset() -> None:
        for edge in EDGES:
            edges.shell(
                edge,
                f"systemctl reset-failed nginx; systemctl start nginx; rm -f {STATES}/shop.json;"
                f" curl -sf -o /dev/null --unix-socket {SOCKET} -X POST http://edge/sync",
            )
        for host in HOSTS:
            edges.shell(host, f"rm -f {ENDS}; systemctl start slipway-test-backend@3001 slipway-test-backend@3002")

    reset()
    yield
    reset()


def test_twenty_drains_under_load_cost_no_request_no_reset_and_no_reload(edges):
    before = processes(edges)
    chosen = random.Random(3)
    subsets = SUBSETS + chosen.sample(SUBSETS, DRAINS - len(SUBSETS))
    chosen.shuffle(subsets)
    drains = [
        {"members": list(subset), "signal": ("TERM", "KILL")[number % 2]} for number, subset in enumerate(subsets)
    ]
    with ExitStack() as stack:
        loads = [
            stack.enter_context(Load(edges, "/whoami", rate, 6, method, edge))
            for edge in EDGES
            for method, rate in (("GET", 60), ("POST", 40))
        ]
        sockets = [stack.enter_context(Sockets(edges, edge)) for edge in EDGES]
        for those in sockets:
            those.await_all()
        begun = time.monotonic()
        done = edges.playbook("tests/edge/drains.yml", "-e", json.dumps({"drains": drains}))
        took = time.monotonic() - begun
        assert done.status == 0, done.output
        for load in loads:
            load.await_answers(set(MEMBERS), 10)
    expected = ends(edges)
    say(f"did: {DRAINS} drains in {took:.0f} s, {len(expected)} programs ended, in every second drain by SIGKILL")
    for load in loads:
        say(f"saw: {load.summary()}")
    for those in sockets:
        alone = unexpected(those.ended, expected)
        say(f"saw: {len(those.ended)} websockets through {those.edge} ended, {len(alone)} not with their program")
    assert len(expected) == sum(len(subset) for subset in subsets)
    assert processes(edges) == before
    assert [load.failures for load in loads] == [[], [], [], []]
    assert all(load.statuses.keys() == {200} and load.sent > 1000 for load in loads)
    assert [(unexpected(those.ended, expected), those.failures) for those in sockets] == [([], [])] * 2
    assert all(those.ended for those in sockets)
    for edge in EDGES:
        wait_for(f"nothing in flight on {edge}", lambda edge=edge: nothing_in_flight(edges, edge), 10)


def nothing_in_flight(stack: Stack, edge: str) -> bool:
    return not any(member["in_flight"] or member["websockets"] for member in pool(stack, edge).values())


def test_nginx_keeps_no_idle_connection_to_a_drained_member(edges):
    def connections(edge: str) -> set[str]:
        text = edges.shell(edge, "ss -Htn state established '( dport = :3001 or dport = :3002 )'")
        names = {edges.address(host): host for host in HOSTS}
        peers = [line.split()[3].rpartition(":") for line in text.splitlines()]
        return {f"{names[address]}:{port}" for address, _, port in peers}

    with ExitStack() as stack:
        for edge in EDGES:
            stack.enter_context(Load(edges, "/whoami", 60, 6, edge=edge))
        wait_for("connections to all members", lambda: all(connections(edge) == set(MEMBERS) for edge in EDGES), 10)
        set_members(edges, MEMBERS[:2], "draining", wait=True)
        assert [connections(edge) for edge in EDGES] == [set(MEMBERS[2:])] * 2


@pytest.mark.parametrize("edge", EDGES)
def test_states_survive_a_restart_and_the_death_of_worker_and_master(edges, edge):
    wanted = {**dict.fromkeys(MEMBERS, "active"), "app1:3001": "out", "app2:3002": "draining"}
    set_members(edges, ("app1:3001",), "out")
    set_members(edges, ("app2:3002",), "draining")
    for disturbance in (
        "systemctl restart nginx",
        "kill -9 $(pgrep -P $(cat /run/nginx.pid) | head -n 1)",
        "kill -9 $(cat /run/nginx.pid)",
    ):
        edges.shell(edge, disturbance)

        def back() -> bool:
            try:
                return len(asked(edges, edge, 1)) == 1
            except OSError:
                return False

        took = wait_for(f"answers after {disturbance}", back, 15)
        say(f"did: {disturbance} on {edge}; answers again after {took:.1f} s")
        assert states(edges, edge) == wanted, disturbance
        assert {member for _status, member in asked(edges, edge)} == {"app1:3002", "app2:3001"}, disturbance


@pytest.mark.parametrize("edge", EDGES)
def test_with_all_members_out_there_is_an_answer_at_once_and_they_come_back(edges, edge):
    set_members(edges, MEMBERS, "out", minimum_active=0)
    begun = time.monotonic()
    assert {status for status, _member in asked(edges, edge, 20)} == {503}
    assert time.monotonic() - begun < 2
    set_members(edges, MEMBERS, "active")
    assert set(asked(edges, edge)) == {(200, member) for member in MEMBERS}
