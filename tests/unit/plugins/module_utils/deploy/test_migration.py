# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a migration is asked to be, the unit that runs it, and what is read from how the unit stands."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.deploy.migration import (
    ENDED_WELL,
    FAILED,
    GOING,
    Migration,
    MigrationError,
    Outcome,
    check,
    is_lock_timeout,
    last_lines,
    masked_values,
    outcome,
    pause_seconds,
    unit_command,
)

SHOP = Migration(
    application="shop",
    root="/srv/slipway/shop",
    release="1.4.0",
    user="slipway-shop",
    command=("bin/migrate", "--price", "$5"),
    kind="expand",
    environment_file="/etc/slipway/shop.env",
    database="shop_db",
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"application": "Shop"}, "application: 'Shop'; expected"),
        ({"release": "../../etc"}, r"release: '\.\./\.\./etc'; expected"),
        ({"release": "a;rm -rf /"}, "release: 'a;rm -rf /'; expected"),
        ({"root": "srv"}, "root: 'srv' is not usable"),
        ({"command": ()}, r"command: \[\]; expected a program"),
        ({"environment_file": "shop.env"}, "environment_file: 'shop.env'; expected an absolute path"),
        ({"database": "a b"}, "database: 'a b'; expected the name"),
        ({"timeout_seconds": 0}, "timeout_seconds: 0; expected a number from 1"),
        ({"lock_timeout_ms": -1}, "lock_timeout_ms: -1; expected a number from 0"),
        ({"lock_retries": -1}, "lock_retries: -1; expected a number from 0"),
    ],
)
def test_refused_by_name(changes: dict, message: str) -> None:
    with pytest.raises(MigrationError, match=message):
        check(replace(SHOP, **changes))


def test_what_is_right_is_taken_as_it_is() -> None:
    for migration in (SHOP, replace(SHOP, database="", environment_file="", lock_timeout_ms=0, lock_retries=0)):
        assert check(migration) is migration


@pytest.mark.parametrize(
    ("kind", "database", "expected"),
    [
        ("expand", "shop_db", "expand-1.4.0"),
        ("contract", "", "contract-1.4.0"),
        ("seed", "shop_db", "seed-shop_db"),
        ("seed", "", "seed-1.4.0"),
    ],
)
def test_a_seed_is_recorded_for_its_database_and_others_for_their_release(
    kind: str, database: str, expected: str
) -> None:
    assert replace(SHOP, kind=kind, database=database).record == expected


def test_the_unit_runs_the_command_exactly_with_a_limit_on_locks() -> None:
    command = unit_command(SHOP, "abc", 599.6, "/v/a.started", "/v/a.json", "-c statement_timeout=5s")
    options, program = command[: command.index("--")], command[command.index("--") + 1 :]
    # systemd would put a variable in for a single dollar.
    assert program == [
        "/usr/bin/env",
        "PGOPTIONS=-c statement_timeout=5s -c lock_timeout=1000ms",
        "bin/migrate",
        "--price",
        "$$5",
    ]
    for option in (
        "--no-block",
        "--unit=slipway-migration-shop.service",
        "--service-type=oneshot",
        "--uid=slipway-shop",
        "--working-directory=/srv/slipway/shop/releases/1.4.0",
        "--property=TimeoutStartSec=600",
        "--property=EnvironmentFile=/etc/slipway/shop.env",
        "--property=ExecStartPost=+/usr/bin/mv -T /v/a.started /v/a.json",
        "--property=LogExtraFields=SLIPWAY_MIGRATION=abc",
    ):
        assert option in options


def test_without_a_limit_on_locks_the_program_is_started_itself() -> None:
    command = unit_command(replace(SHOP, lock_timeout_ms=0, command=("m",)), "abc", 1, "/v/a.started", "/v/a.json")
    assert command[command.index("--") + 1 :] == ["m"]


@pytest.mark.parametrize(
    ("properties", "recorded", "expected"),
    [
        ({"ActiveState": "activating", "Job": "12"}, False, Outcome(GOING)),
        # Its command ended well and its note is the record; the job is not over yet.
        ({"ActiveState": "activating", "Job": "12"}, True, Outcome(GOING)),
        # Asked for, not yet begun.
        ({"ActiveState": "inactive", "Job": "12"}, False, Outcome(GOING)),
        ({"ActiveState": "inactive", "Job": ""}, True, Outcome(ENDED_WELL)),
        ({"ActiveState": "inactive", "Job": "0"}, True, Outcome(ENDED_WELL)),
        (
            {"ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "3"},
            False,
            Outcome(FAILED, "exit code 3"),
        ),
        ({"ActiveState": "failed", "Result": "timeout"}, False, Outcome(FAILED, "its time was up")),
        ({"ActiveState": "failed", "Result": "signal", "ExecMainStatus": "9"}, False, Outcome(FAILED, "signal 9")),
        (
            {"ActiveState": "inactive"},
            False,
            Outcome(FAILED, "it was stopped, or the host was restarted, before it ended"),
        ),
    ],
)
def test_outcome(properties: dict, recorded: bool, expected: Outcome) -> None:
    assert outcome(properties, recorded) == expected


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("ERROR:  canceling statement due to lock timeout", True),
        ("psycopg.errors.LockNotAvailable: 55P03", True),
        ("ActiveRecord::LockWaitTimeout: PG::LockNotAvailable: ERROR: lock_not_available", True),
        ('relation "notes" does not exist', False),
        ("deadlock detected", False),
    ],
)
def test_only_a_lock_is_worth_another_attempt(output: str, expected: bool) -> None:
    assert is_lock_timeout(output) is expected


def test_pauses_grow_and_end_growing() -> None:
    assert [pause_seconds(attempt) for attempt in range(1, 8)] == [1, 2, 4, 8, 16, 16, 16]


def test_what_is_masked() -> None:
    variables = {
        "DATABASE_URL": "postgresql://shop:geheim%2Fx@db1/shop",
        "SESSION_SECRET": "short",
        "PARTNER": "sk_live_51H8",
        "NODE_ENV": "production",
        "CA": "/etc/slipway/tls/ca.crt",
        "REDIS_NODES": "10.0.0.1:6379,10.0.0.2:6379",
        "PORT": "3000",
    }
    masked = masked_values(variables)
    assert {variables["DATABASE_URL"], "geheim%2Fx", "geheim/x", "short", "sk_live_51H8"} <= set(masked)
    assert not {variables[name] for name in ("NODE_ENV", "CA", "REDIS_NODES", "PORT")} & set(masked)


def test_last_lines() -> None:
    assert last_lines("a\nb\nc\n", 2) == "b\nc"
    assert last_lines("") == ""
