# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How an application says that releases are brought to it: the field ``deploy`` of ``slipway_apps``."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.host.findings import Finding
from ansible_collections.slipway.stack.plugins.module_utils.topology.applications import (
    DEPLOY_FIELDS,
    MIGRATION_FIELDS,
)
from ansible_collections.slipway.stack.plugins.module_utils.topology.build import build
from ansible_collections.slipway.stack.plugins.module_utils.topology.validate import inventory_findings
from ansible_collections.slipway.stack.tests.unit.plugins.module_utils.topology.examples import MAILER, SHOP, inventory

UP = ["node", "migrate.js"]


def settings(deploy: Any, entry: dict[str, Any] = SHOP) -> dict[str, Any]:
    (app,) = build(inventory({"shop": {**entry, "deploy": deploy}})).applications
    return dict(app.spec["deploy"])


def findings(deploy: Any, **entry: Any) -> tuple[Finding, ...]:
    return inventory_findings(inventory({"shop": {**SHOP, **entry, "deploy": deploy}}))


@pytest.mark.parametrize("deploy", [None, {}, {"migrations": None}, {"migrations": {}}, {"batch": None}])
def test_what_is_not_said_has_its_default(deploy: Any) -> None:
    assert findings(deploy) == ()
    assert settings(deploy) == {
        "strategy": None,
        "batch": 1,
        "drain_seconds": 30,
        "soak_seconds": 10,
        "announce_seconds": 0,
        "rollback": "fleet",
        "windows": (),
        "migrations": {
            "command": None,
            "contract_command": None,
            "seed_command": None,
            "files": None,
            "timeout_seconds": 600,
            "lock_timeout_ms": 1000,
        },
    }


def test_what_is_said_is_kept_beside_the_defaults() -> None:
    migrations = {"command": UP, "files": "migrations/*.sql"}
    said = {"batch": "25%", "soak_seconds": 0, "windows": [{"starts": "22:00"}], "migrations": migrations}
    assert findings(said) == ()
    made = settings(said)
    assert (made["batch"], made["soak_seconds"], made["windows"]) == ("25%", 0, [{"starts": "22:00"}])
    assert (made["migrations"]["command"], made["migrations"]["timeout_seconds"]) == (UP, 600)


@pytest.mark.parametrize("batch", [1, 10000, "1%", "25%", "100%"])
def test_batches_that_can_be(batch: Any) -> None:
    assert findings({"batch": batch}) == ()


WHOLE = 'a whole number of hosts from 1 up, or a share of them such as "25%"'


@pytest.mark.parametrize(
    ("deploy", "variable", "received", "expected"),
    [
        ({"batch": 0}, "batch", "0", WHOLE),
        ({"batch": -1}, "batch", "-1", WHOLE),
        ({"batch": "2"}, "batch", "'2'", WHOLE),
        ({"batch": "0%"}, "batch", "'0%'", WHOLE),
        ({"batch": "101%"}, "batch", "'101%'", WHOLE),
        ({"batch": True}, "batch", "True", WHOLE),
        ({"drain_seconds": 0}, "drain_seconds", "0", "a whole number of seconds from 5 to 86400"),
        ({"drain_seconds": -1}, "drain_seconds", "-1", "a whole number of seconds from 5 to 86400"),
        ({"drain_seconds": "30 secs"}, "drain_seconds", "'30 secs'", "a whole number of seconds from 5 to 86400"),
        ({"soak_seconds": -1}, "soak_seconds", "-1", "a whole number of seconds from 0 to 86400"),
        ({"announce_seconds": 604801}, "announce_seconds", "604801", "a whole number of seconds from 0 to 604800"),
        ({"strategy": "canary"}, "strategy", "'canary'", "rolling or maintenance"),
        ({"rollback": True}, "rollback", "True", "fleet or batch"),
        ({"windows": {"starts": "22:00"}}, "windows", "{'starts': '22:00'}", "a list of windows"),
        ({"windows": ["22:00"]}, "windows", "['22:00']", "a list of windows"),
        ({"migrations": UP}, "migrations", "['node', 'migrate.js']", "a mapping"),
        ({"migrations": {"command": "up"}}, "migrations.command", "'up'", "a list: the program and its arguments"),
        ({"migrations": {"files": 5}}, "migrations.files", "5", "a pattern of paths in the release"),
        ({"migrations": {"timeout_seconds": 0}}, "migrations.timeout_seconds", "0", "seconds from 1 to 86400"),
        (
            {"migrations": {"lock_timeout_ms": "1s"}},
            "migrations.lock_timeout_ms",
            "'1s'",
            "milliseconds from 1 to 600000",
        ),
    ],
)
def test_bad_values_are_refused_by_name(deploy: dict[str, Any], variable: str, received: str, expected: str) -> None:
    (found,) = findings(deploy)
    assert (found.level, found.host) == ("error", "")
    assert (found.variable, found.received) == (f"slipway_apps.shop.deploy.{variable}", received)
    assert expected in found.expected
    assert found.fix.startswith("correct ")


@pytest.mark.parametrize("deploy", [5, "rolling", [], True])
def test_it_is_a_mapping(deploy: Any) -> None:
    (found,) = findings(deploy)
    assert (found.variable, found.expected) == ("slipway_apps.shop.deploy", "a mapping")


@pytest.mark.parametrize(
    ("deploy", "variable", "fix"),
    [
        ({"batches": 2}, "deploy.batches", "write batch"),
        ({"drain": 30}, "deploy.drain", "remove drain"),
        ({"drain_second": 30}, "deploy.drain_second", "write drain_seconds"),
        ({"window": []}, "deploy.window", "write windows"),
        ({"migrations": {"comand": UP}}, "deploy.migrations.comand", "write command"),
        ({"migrations": {"lock_timeout_seconds": 1}}, "deploy.migrations.lock_timeout_seconds", "lock_timeout_ms"),
    ],
)
def test_slips_are_named(deploy: dict[str, Any], variable: str, fix: str) -> None:
    (found,) = findings(deploy)
    assert found.variable == f"slipway_apps.shop.{variable}"
    assert fix in f"{found.fix} {found.expected}"


def test_state_in_memory_has_no_rolling_deploy() -> None:
    alone = {"single_instance": True, "instances": 1}
    (found,) = findings({"strategy": "rolling"}, **alone)
    assert (found.variable, found.received) == ("slipway_apps.shop.deploy.strategy", "rolling")
    assert "keeps its state in its memory" in found.expected
    assert "Redis pub/sub" in found.fix
    assert findings({"strategy": "maintenance"}, **alone) == ()
    assert findings({}, **alone) == ()


def test_a_worker_has_one_too() -> None:
    deploy = {"batch": "100%", "drain_seconds": 60}
    assert inventory_findings(inventory({"mailer": {**MAILER, "deploy": deploy}})) == ()
    assert settings(deploy, MAILER)["batch"] == "100%"


def test_every_default_is_what_may_be_said() -> None:
    for field in (*DEPLOY_FIELDS.values(), *MIGRATION_FIELDS.values()):
        assert field.default is None or field.accepts(field.default)
