# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PostgreSQL: judged from states, and what libpq says put in plain words."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.checks.postgresql import (
    WRAPAROUND,
    PostgresqlCheck,
    Replica,
    ServerState,
    Session,
    Slot,
)
from ansible_collections.slipway.stack.plugins.module_utils.health.model import CouldNotRun, Status, Unreachable
from ansible_collections.slipway.stack.plugins.module_utils.health.tools import Tools
from hypothesis import given
from hypothesis import strategies as st

GOOD = ServerState(False, 10, 100, 0.0, "17.2 (Debian)", 12.0, "42", oldest_database="shop")
OK, WARNING, CRITICAL = Status.OK, Status.WARNING, Status.CRITICAL


def session(state: str = "active", **ages: Any) -> Session:
    """A session of the role shop; what is not given is fresh."""
    fresh = {"transaction_seconds": 0.1, "state_seconds": 0.1, "query_seconds": 0.1}
    return Session(**{"pid": 7, "user": "shop", "application": "web", "state": state, **fresh, **ages})


@pytest.mark.parametrize(
    ("options", "change", "status", "words"),
    [
        ({}, {}, OK, "primary, PostgreSQL 17.2"),
        ({"writable": True}, {}, OK, ""),
        ({"writable": True}, {"in_recovery": True}, CRITICAL, "the server is a replica, which cannot write"),
        ({"writable": False}, {}, CRITICAL, "the server is a primary"),
        ({"writable": False}, {"in_recovery": True}, OK, ""),
        ({}, {"connections": 80}, WARNING, "80 of 100 connections"),
        ({}, {"connections": 95}, CRITICAL, "95 of 100 connections"),
        ({"connections_warn_percent": 5}, {}, WARNING, "10 of 100"),
        ({"query": "q", "expect": "42"}, {}, OK, ""),
        ({"query": "q", "expect": "43"}, {}, CRITICAL, 'returned "42"'),
        ({"query": "q", "expect": "43"}, {"value": None}, CRITICAL, "returned no row"),
        ({}, {"took_ms": 1500.0}, WARNING, "took 1500 ms"),
        # As a replica
        ({}, {"in_recovery": True, "lag_seconds": 11.0}, WARNING, "11 s behind"),
        ({}, {"in_recovery": True, "lag_seconds": 61.0}, CRITICAL, "61 s behind"),
        ({}, {"in_recovery": True, "lag_seconds": None}, WARNING, "not replayed"),
        ({}, {"in_recovery": True, "receiving": False, "lag_seconds": 2.0}, WARNING, "not connected to a primary"),
        ({}, {"in_recovery": True, "receiving": False, "lag_seconds": 90.0}, CRITICAL, "transaction is 90 s old"),
        ({}, {"in_recovery": True, "paused": True}, WARNING, "its replay is paused"),
        # Its replicas
        ({"replicas": 1}, {"replicas": [Replica("r1", lag_seconds=0.2)]}, OK, "1 replica"),
        ({"replicas": 2}, {"replicas": [Replica("r1")]}, WARNING, "1 of 2 replicas stream from it"),
        ({"replicas": 1}, {}, WARNING, "0 of 1 replicas stream from it"),
        ({"replicas": 1}, {"replicas": [Replica("r1", None)]}, OK, ""),
        ({}, {"replicas": [Replica("r1 at 10.0.0.2", "catchup")]}, WARNING, "r1 at 10.0.0.2 is in state catchup"),
        ({}, {"replicas": [Replica("r1", "streaming", 12.0, 5e6)]}, WARNING, "r1 is 12 s behind (5.0 MB)"),
        ({}, {"replicas": [Replica("r1", "streaming", 60.0)]}, CRITICAL, "r1 is 60 s behind"),
        # Slots
        ({}, {"slots": [Slot("s", False, 9e8, "reserved")]}, OK, ""),
        ({}, {"slots": [Slot("s", False, 1e9, "extended")]}, WARNING, "inactive replication slot s keeps 1.0 GB"),
        ({}, {"slots": [Slot("s", False, 1e10, "extended")]}, CRITICAL, "keeps 10.0 GB"),
        ({}, {"slots": [Slot("s", True, 2e9, "extended")]}, WARNING, "replication slot s keeps 2.0 GB"),
        ({}, {"slots": [Slot("s", False, 5e8, "unreserved")]}, WARNING, "about to lose WAL"),
        ({}, {"slots": [Slot("s", False, 0.0, "lost")]}, CRITICAL, "has lost WAL"),
        ({"slot_warn_mb": 100}, {"slots": [Slot("s", False, 2e8, "reserved")]}, WARNING, "200.0 MB"),
        # Sessions
        ({}, {"sessions": [session(query_seconds=2.0)] * 4}, OK, ""),
        (
            {},
            {"sessions": [session(query_seconds=2.0)] * 5},
            WARNING,
            "queries that run for more than 1 s: 5, the longest for 2 s",
        ),
        ({"slow_warn": 1, "slow_seconds": 30}, {"sessions": [session(query_seconds=29.0)]}, OK, ""),
        (
            {"slow_warn": 1, "slow_seconds": 30},
            {"sessions": [session(query_seconds=31.0)]},
            WARNING,
            "the longest for 31 s (shop (web), process 7)",
        ),
        ({"slow_seconds": 0, "slow_warn": 1}, {"sessions": [session(query_seconds=31.0)]}, OK, ""),
        (
            {},
            {"sessions": [session("idle in transaction", state_seconds=60.0)]},
            WARNING,
            "shop (web), process 7, is idle within a transaction for 60 s",
        ),
        ({}, {"sessions": [session("idle in transaction (aborted)", state_seconds=60.0)]}, WARNING, "idle within"),
        ({}, {"sessions": [session("idle in transaction", state_seconds=59.0)]}, OK, ""),
        ({}, {"sessions": [session(transaction_seconds=300.0)] * 2}, WARNING, "in one transaction for 300 s"),
        ({"transaction_warn_seconds": 0}, {"sessions": [session(transaction_seconds=3000.0)]}, OK, ""),
        # Upkeep
        (
            {},
            {"pending_restart": ["max_connections", "shared_buffers"]},
            WARNING,
            "settings wait for a restart: max_connections, shared_buffers",
        ),
        ({}, {"archive_failed": "000000010000000000000002"}, WARNING, "archiving of WAL fails since 0000"),
        ({}, {"oldest_age": 399_000_000}, OK, ""),
        ({}, {"oldest_age": 400_000_000}, WARNING, "autovacuum does not keep up"),
        ({}, {"oldest_age": 900_000_000, "freeze_max_age": 10**9}, WARNING, "900 million transactions old (42 %"),
        ({}, {"oldest_age": 1_620_000_000}, CRITICAL, "database shop is 1620 million transactions old (75 %"),
        ({"wraparound_warn_percent": 0}, {"oldest_age": 900_000_000}, OK, ""),
    ],
)
def test_judges(
    make_check: Callable[..., Any], options: dict[str, Any], change: dict[str, Any], status: Status, words: str
) -> None:
    outcome = make_check(type="postgresql", **options).judge(dataclasses.replace(GOOD, **change))
    assert outcome.status is status, outcome.message
    assert words in outcome.message
    assert bool(outcome.next_step) == (status is not OK)


def test_several_late_sessions_are_told_as_one(make_check: Callable[..., Any]) -> None:
    late = [session(transaction_seconds=seconds, pid=int(seconds)) for seconds in (400.0, 900.0)]
    outcome = make_check(type="postgresql").judge(dataclasses.replace(GOOD, sessions=late))
    assert outcome.message == "shop (web), process 900, is in one transaction for 900 s and 1 more"


@given(age=st.integers(0, WRAPAROUND), freeze_max_age=st.integers(100_000, 2_000_000_000))
def test_older_transactions_are_never_judged_better(age: int, freeze_max_age: int) -> None:
    def rank(oldest: int) -> int:
        state = dataclasses.replace(GOOD, oldest_age=oldest, freeze_max_age=freeze_max_age)
        return PostgresqlCheck().judge(state).status.rank

    assert rank(age) <= rank(min(age + 10_000_000, WRAPAROUND))
    assert (rank(age) == CRITICAL.rank) == (age >= 0.75 * WRAPAROUND)


def test_names_what_the_role_may_not_see(make_check: Callable[..., Any]) -> None:
    blind = dataclasses.replace(GOOD, unseen_sessions=3, replicas=[Replica("r1", None)], sees_settings=False)
    outcome = make_check(type="postgresql", replicas=1).judge(blind)
    assert outcome.status is OK
    assert outcome.seen.endswith(
        "not seen by this role: what 3 sessions of other roles do, state and lag of replicas, "
        "settings for administrators"
    )
    assert "not seen" not in make_check(type="postgresql").judge(GOOD).seen


class FakeError(Exception):
    """Stands for psycopg2.Error."""


def with_library(connect: Callable[..., Any]) -> Tools:
    return Tools(load=lambda name: SimpleNamespace(connect=connect, Error=FakeError))


SAID: dict[str, Any] = {
    "in_recovery": False,
    "version": "17.2 (Debian)",
    "sees_settings": False,
    "max_connections": 97,
    "connections": 12,
    "unseen_sessions": 11,
    "sessions": [
        {
            "pid": 7,
            "usename": "shop",
            "application_name": "",
            "state": "idle in transaction",
            "transaction_seconds": 90.5,
            "state_seconds": 90.25,
            "query_seconds": 90.5,
        }
    ],
    "receiving": False,
    "paused": False,
    "lag_seconds": 0,
    "replicas": [{"name": "r1", "address": None, "state": None, "lag_seconds": None, "behind_bytes": None}],
    "slots": [{"name": "s", "active": False, "status": "reserved", "held_bytes": 2_000_000_000}],
    "pending_restart": None,
    "oldest_database": "shop",
    "oldest_age": 700,
    "freeze_max_age": 200_000_000,
    "archive_failed": None,
    "deadlocks": 3,
    "statements_schema": None,
}


class Connection:
    """A connection whose statements are answered in turn, or fail."""

    description = ("value",)

    def __init__(self, *rows: Any) -> None:
        self.rows = list(rows)
        self.statements: list[str] = []
        self.closed = False

    def set_session(self, **options: Any) -> None:
        assert options["readonly"] is True

    def cursor(self) -> contextlib.AbstractContextManager[Connection]:
        return contextlib.nullcontext(self)

    def execute(self, statement: str, values: Any = None) -> None:
        self.statements.append(statement)
        if isinstance(self.rows[0], Exception):
            raise self.rows[0]

    def fetchone(self) -> Any:
        return self.rows.pop(0)

    def close(self) -> None:
        self.closed = True


def test_asks_in_one_round_trip(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    connection = Connection((SAID,))
    outcome = look(make_check(type="postgresql"), with_library(lambda **options: connection))
    assert len(connection.statements) == 1
    assert connection.closed
    assert outcome.status is WARNING
    assert outcome.message == (
        "inactive replication slot s keeps 2.0 GB of WAL; shop, process 7, is idle within a transaction for 90 s"
    )
    assert outcome.measures["deadlocks"] == 3
    assert "slow_statements" not in outcome.measures


def test_measures_statements_where_they_can_be_read(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    said = {**SAID, "sessions": None, "slots": None, "statements_schema": 'odd "name"'}
    connection = Connection((said,), ("42",), (2, 1.25))
    outcome = look(make_check(type="postgresql", query="q", expect="42"), with_library(lambda **options: connection))
    assert outcome.status is OK
    assert (outcome.measures["slow_statements"], outcome.measures["statement_mean_ms"]) == (2, 1.2)
    assert '"odd ""name""".pg_stat_statements' in connection.statements[2]

    refused = Connection((said,), ("42",), FakeError("must be loaded via shared_preload_libraries"))
    outcome = look(make_check(type="postgresql", query="q", expect="42"), with_library(lambda **options: refused))
    assert outcome.status is OK
    assert "slow_statements" not in outcome.measures


@pytest.mark.parametrize(
    ("said", "words", "step"),
    [
        (
            'connection to server at "10.0.0.1", port 5432 failed: Connection refused\n\tIs the server running?',
            "Connection refused",
            "`systemctl start postgresql`",
        ),
        (
            'FATAL:  password authentication failed for user "shop"',
            "password authentication",
            "correct user or password",
        ),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.2", user "shop"', "pg_hba", "allow this host"),
        ('FATAL:  database "shop" does not exist', "does not exist", "create it"),
        ("FATAL:  sorry, too many clients already", "too many clients", "pg_stat_activity"),
        ("FATAL:  the database system is starting up", "starting up", "wait for the recovery"),
        ("SSL error: certificate verify failed", "certificate verify failed", "ca_file"),
        ("something new", "something new", "log"),
    ],
)
def test_explains(make_check: Callable[..., Any], look: Callable[..., Any], said: str, words: str, step: str) -> None:
    def connect(**options: Any) -> Any:
        raise FakeError(said)

    with pytest.raises(Unreachable) as caught:
        look(make_check(type="postgresql"), with_library(connect))
    assert words in caught.value.message
    assert step in caught.value.next_step


def test_a_missing_library_could_not_run(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    def load(name: str) -> Any:
        raise ImportError(name)

    with pytest.raises(CouldNotRun) as caught:
        look(make_check(type="postgresql"), Tools(load=load))
    assert caught.value.next_step == "install it on this host: `apt-get install python3-psycopg2`"


@pytest.mark.parametrize(
    ("options", "mode"),
    [({}, "prefer"), ({"ca_file": "/ca"}, "verify-full"), ({"ca_file": "/ca", "sslmode": "verify-ca"}, "verify-ca")],
)
def test_connects_as_safely_as_it_can(
    make_check: Callable[..., Any], look: Callable[..., Any], options: dict[str, Any], mode: str
) -> None:
    given: dict[str, Any] = {}

    def connect(**options: Any) -> Any:
        given.update(options)
        raise FakeError("enough")

    with pytest.raises(Unreachable):
        look(make_check(type="postgresql", password="pw", **options), with_library(connect))
    assert given["sslmode"] == mode
    assert given["password"] == "pw"
    assert 2 <= given["connect_timeout"] <= 5
