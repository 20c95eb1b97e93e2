# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PostgreSQL: judged from states, and what libpq says put in plain words."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.checks.postgresql import ServerState
from ansible_collections.slipway.stack.plugins.module_utils.health.model import CouldNotRun, Status, Unreachable
from ansible_collections.slipway.stack.plugins.module_utils.health.tools import Tools

GOOD = ServerState(False, 10, 100, 0.0, "17.2 (Debian)", 12.0, "42")
OK, WARNING, CRITICAL = Status.OK, Status.WARNING, Status.CRITICAL


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
        ({}, {"in_recovery": True, "lag_seconds": 11.0}, WARNING, "11 s behind"),
        ({}, {"in_recovery": True, "lag_seconds": 61.0}, CRITICAL, "61 s behind"),
        ({}, {"in_recovery": True, "lag_seconds": None}, WARNING, "not replayed"),
        ({"query": "q", "expect": "42"}, {}, OK, ""),
        ({"query": "q", "expect": "43"}, {}, CRITICAL, 'returned "42"'),
        ({"query": "q", "expect": "43"}, {"value": None}, CRITICAL, "returned no row"),
        ({}, {"took_ms": 1500.0}, WARNING, "took 1500 ms"),
    ],
)
def test_judges(
    make_check: Callable[..., Any], options: dict[str, Any], change: dict[str, Any], status: Status, words: str
) -> None:
    outcome = make_check(type="postgresql", **options).judge(dataclasses.replace(GOOD, **change))
    assert outcome.status is status
    assert words in outcome.message
    assert bool(outcome.next_step) == (status is not OK)


class FakeError(Exception):
    """Stands for psycopg2.Error."""


def with_library(connect: Callable[..., Any]) -> Tools:
    return Tools(load=lambda name: SimpleNamespace(connect=connect, Error=FakeError))


@pytest.mark.parametrize(
    ("said", "words", "step"),
    [
        (
            'connection to server at "10.0.0.1", port 5432 failed: Connection refused\n\tIs the server running?',
            "Connection refused",
            "systemctl status postgresql",
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
    assert caught.value.next_step == "install the package python3-psycopg2"


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
