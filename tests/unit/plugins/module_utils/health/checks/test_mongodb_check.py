# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""MongoDB: judged from states, and asked for real of a stand-in that speaks its wire protocol."""

from __future__ import annotations

import dataclasses
import datetime
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.checks.mongodb import (
    DeploymentState,
    Member,
    members_of_hellos,
    members_of_status,
)
from ansible_collections.slipway.stack.plugins.module_utils.health.model import CouldNotRun, Status, Unreachable
from ansible_collections.slipway.stack.plugins.module_utils.health.tools import Tools
from hypothesis import given
from hypothesis import strategies as st

from tests.support import mongod

OK, WARNING, CRITICAL = Status.OK, Status.WARNING, Status.CRITICAL

PRIMARY, SECONDARY = Member("a:1", "PRIMARY"), Member("b:1", "SECONDARY", 1.0)
GOOD = DeploymentState(
    "replica set", 9.0, "rs0", "a:1", (PRIMARY, SECONDARY, Member("c:1", "ARBITER")), ("shop@admin",), "7.0.1"
)


def with_secondary(**fields: Any) -> dict[str, Any]:
    return {"members": (PRIMARY, dataclasses.replace(SECONDARY, **fields))}


@pytest.mark.parametrize(
    ("options", "change", "status", "words"),
    [
        ({}, {}, OK, "replica set rs0, primary a:1, 3 members, MongoDB 7.0.1, 9 ms, logged in as shop@admin"),
        ({"replica_set": "rs0", "members": 3}, {}, OK, ""),
        ({"replica_set": "rs1"}, {}, CRITICAL, "it belongs to replica set rs0, not rs1"),
        ({"members": 5}, {}, WARNING, "the replica set has 3 members, wanted are 5"),
        ({}, {"primary": ""}, CRITICAL, "no primary, so nothing can be written"),
        ({}, {"users": ()}, CRITICAL, "nobody is logged in"),
        ({"anonymous": True}, {"users": ()}, OK, "nobody logged in"),
        ({}, {"took_ms": 1000.0}, WARNING, "took 1000 ms"),
        # Members
        ({}, with_secondary(lag_seconds=10.0), WARNING, "member b:1 is 10 s behind the primary"),
        ({}, with_secondary(lag_seconds=60.0), CRITICAL, "member b:1 is 60 s behind"),
        ({"lag_warn_seconds": 0}, with_secondary(lag_seconds=59.0), OK, ""),
        ({}, with_secondary(state="RECOVERING", note="syncing"), WARNING, "b:1 is in state RECOVERING (syncing)"),
        ({}, with_secondary(state="DOWN", note="refused"), WARNING, "member b:1 is down (refused)"),
        # Oplog
        ({"oplog_warn_hours": 24}, {"oplog_hours": 23.5}, WARNING, "the oplog reaches back 23.5 h"),
        ({"oplog_warn_hours": 24}, {"oplog_hours": 25.0}, OK, ""),
        # Other kinds
        ({}, {"kind": "router", "members": ()}, OK, "router"),
        ({"replica_set": "rs0"}, {"kind": "router"}, WARNING, "it is a router, not a member"),
        ({}, {"kind": "standalone"}, OK, "standalone"),
        ({"members": 3}, {"kind": "standalone"}, CRITICAL, "it is a standalone, not a member"),
        (
            {"uri": "mongodb://u:p@h/?tlsInsecure=true"},
            {},
            WARNING,
            "does not verify certificates (tlsinsecure)",
        ),
    ],
)
def test_judges(
    make_check: Callable[..., Any], options: dict[str, Any], change: dict[str, Any], status: Status, words: str
) -> None:
    outcome = make_check(type="mongodb", **options).judge(dataclasses.replace(GOOD, **change))
    assert outcome.status is status, outcome.message
    assert words in outcome.message
    assert bool(outcome.next_step) == (status is not OK)


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({}, "127.0.0.1:27017"),
        ({"host": "db", "port": 27018}, "db:27018"),
        ({"uri": "mongodb://u:s3cret@h1:27017,h2/shop?replicaSet=rs0"}, "h1:27017,h2"),
        ({"uri": "mongodb+srv://u:s3cret@cluster0.example.net/"}, "cluster0.example.net"),
    ],
)
def test_shows_where_but_no_secret(make_check: Callable[..., Any], options: dict[str, Any], shown: str) -> None:
    check = make_check(type="mongodb", **options)
    assert check.target() == shown
    assert check.name == f"mongodb {shown}"


NOW = datetime.datetime(2026, 1, 1)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=7), st.integers(0, 6))
def test_lag_is_counted_from_the_primary(ages: list[int], chosen: int) -> None:
    primary = chosen % len(ages)
    states = ["PRIMARY" if number == primary else "SECONDARY" for number in range(len(ages))]
    moments = [NOW - datetime.timedelta(seconds=age) for age in ages]
    status = members_of_status(
        {
            "members": [
                {"name": str(number), "stateStr": state, "health": 1.0, "optimeDate": moment}
                for number, (state, moment) in enumerate(zip(states, moments))
            ]
        }
    )
    hellos = members_of_hellos(
        {
            str(number): {
                "isWritablePrimary": state == "PRIMARY",
                "secondary": state == "SECONDARY",
                "lastWrite": {"lastWriteDate": moment},
            }
            for number, (state, moment) in enumerate(zip(states, moments))
        }
    )
    wanted = [None if number == primary else max(0.0, age - ages[primary]) for number, age in enumerate(ages)]
    assert [member.lag_seconds for member in status] == wanted
    assert status == hellos


def test_a_missing_library_could_not_run(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    def load(name: str) -> Any:
        raise ImportError(name)

    with pytest.raises(CouldNotRun) as caught:
        look(make_check(type="mongodb"), Tools(load=load))
    assert caught.value.next_step == "install it on this host: `apt-get install python3-pymongo`"


class ReplicaSet:
    """Three members on ports of their own; ``state`` is what they say."""

    def __init__(self, serve: Any, wrap: Any = None) -> None:
        self.state: dict[str, Any] = {"set": "rs0", "members": {}}
        self.names: list[str] = []
        ready = threading.Event()

        def start(number: int) -> str:
            def talk(connection: socket.socket) -> None:
                ready.wait(5)
                member = mongod.Member(self.names[number], lambda: self.state, "shop", "pw-s3cret")
                if self.state["members"].get(member.name, {}).get("state") != "DOWN":
                    mongod.talk(wrap(connection) if wrap else connection, member)

            return f"127.0.0.1:{serve(talk)}"

        self.names = [start(number) for number in range(3)]
        ready.set()
        for name, state in zip(self.names, ("PRIMARY", "SECONDARY", "SECONDARY")):
            self.state["members"][name] = {"state": state, "lag": 0}

    def member(self, number: int) -> dict[str, Any]:
        member: dict[str, Any] = self.state["members"][self.names[number]]
        return member

    @property
    def uri(self) -> str:
        return f"mongodb://shop:pw-s3cret@{','.join(self.names[:2])}/shop?authSource=admin"


@pytest.fixture
def replica_set(serve: Any) -> ReplicaSet:
    return ReplicaSet(serve)


@pytest.mark.parametrize("may_see_status", [True, False])
def test_asks_a_replica_set(
    make_check: Callable[..., Any], look: Callable[..., Any], replica_set: ReplicaSet, may_see_status: bool
) -> None:
    replica_set.state["status"] = may_see_status
    check = make_check(
        type="mongodb", uri=replica_set.uri, tls=False, members=3, replica_set="rs0", oplog_warn_hours=24
    )
    outcome = look(check)
    assert outcome.status is OK, outcome.message
    assert f"primary {replica_set.names[0]}, 3 members" in outcome.seen
    assert "logged in as shop@admin" in outcome.seen
    assert ("not seen by this user: hidden members" in outcome.seen) != may_see_status
    assert ("oplog_hours" in outcome.measures) == may_see_status

    replica_set.member(1)["lag"] = 70
    replica_set.member(2)["state"] = "RECOVERING"
    outcome = look(check)
    assert outcome.status is CRITICAL
    assert f"member {replica_set.names[1]} is 70 s behind the primary" in outcome.message
    assert f"member {replica_set.names[2]} is in state RECOVERING" in outcome.message

    replica_set.member(1)["lag"] = 0
    replica_set.member(2)["state"] = "DOWN"
    outcome = look(check)
    assert outcome.status is WARNING
    assert f"member {replica_set.names[2]} is down" in outcome.message


def test_finds_that_there_is_no_primary(
    make_check: Callable[..., Any], look: Callable[..., Any], replica_set: ReplicaSet
) -> None:
    replica_set.member(0)["state"] = "SECONDARY"
    outcome = look(make_check(type="mongodb", uri=replica_set.uri, tls=False))
    assert outcome.status is CRITICAL
    assert "no primary" in outcome.message


def test_one_address_and_a_user_of_its_own_do(
    make_check: Callable[..., Any], look: Callable[..., Any], replica_set: ReplicaSet
) -> None:
    port = int(replica_set.names[0].rpartition(":")[2])
    outcome = look(make_check(type="mongodb", port=port, user="shop", password="pw-s3cret", tls=False))
    assert outcome.status is OK, outcome.message


def test_a_standalone_server_is_told_as_one(
    make_check: Callable[..., Any], look: Callable[..., Any], replica_set: ReplicaSet
) -> None:
    del replica_set.state["set"]
    uri = replica_set.uri.replace(f",{replica_set.names[1]}", "")
    assert "standalone" in look(make_check(type="mongodb", uri=uri, tls=False)).seen
    with pytest.raises(Unreachable) as caught:
        look(make_check(type="mongodb", uri=replica_set.uri, tls=False, timeout_seconds=1.0))
    assert "members of one replica set" in caught.value.next_step


@pytest.mark.parametrize(
    ("options", "words", "step"),
    [
        ({"password": "wrong"}, "refuses the login: Authentication failed", "correct user, password"),
        ({"tls": True, "timeout_seconds": 1.0}, "no answer from MongoDB", "look"),
    ],
)
def test_explains(
    make_check: Callable[..., Any],
    look: Callable[..., Any],
    replica_set: ReplicaSet,
    options: dict[str, Any],
    words: str,
    step: str,
) -> None:
    with pytest.raises(Unreachable) as caught:
        look(make_check(**{"type": "mongodb", "uri": replica_set.uri, "tls": False, **options}))
    assert words in caught.value.message
    assert "pw-s3cret" not in caught.value.message
    assert step in caught.value.next_step


def test_says_when_nobody_listens(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unreachable) as caught:
        look(make_check(type="mongodb", port=port, timeout_seconds=1.0))
    assert "Connection refused" in caught.value.message
    assert caught.value.next_step == "start MongoDB: `systemctl start mongod` there; or correct host and port"


def test_nobody_logged_in_is_found(
    make_check: Callable[..., Any], look: Callable[..., Any], replica_set: ReplicaSet
) -> None:
    uri = f"mongodb://{','.join(replica_set.names)}/"
    outcome = look(make_check(type="mongodb", uri=uri, tls=False))
    assert outcome.status is CRITICAL
    assert "nobody is logged in" in outcome.message


def test_talks_tls_to_every_member(
    make_check: Callable[..., Any], look: Callable[..., Any], serve: Any, authority: Any
) -> None:
    secure = ReplicaSet(serve, authority.server("127.0.0.1", 30))
    secure.state["status"] = False
    outcome = look(make_check(type="mongodb", uri=secure.uri, ca_file=authority.ca_file))
    assert outcome.status is OK, outcome.message
    with pytest.raises(Unreachable) as caught:
        look(make_check(type="mongodb", uri=secure.uri, timeout_seconds=1.0))
    assert "certificate verify failed" in caught.value.message
    assert "ca_file" in caught.value.next_step


def test_a_ca_file_that_is_missing_could_not_run(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    with pytest.raises(CouldNotRun, match="does not exist"):
        look(make_check(type="mongodb", ca_file="/nowhere/ca.crt"))
