# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The health filters take what Ansible hands over, and name what they are not given."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError, AnsibleUndefinedVariable
from ansible_collections.slipway.stack.plugins.filter.health import FilterModule

FILTERS = FilterModule().filters()
TEMPLATE = (Path(__file__).resolve().parents[4] / "playbooks" / "files" / "verify.html").read_text(encoding="utf-8")
APPS = {
    "shop": {"group": "web", "database": {"name": "x"}},
    "mailer": {"group": "web", "kind": "worker", "redis": True},
}
RESULT = {
    "name": "nginx", "type": "systemd", "part": "nginx", "target": "nginx.service", "weight": 2, "status": "ok",
    "seen": "active",
    "wanted": "active", "message": "active", "next_step": "", "measures": {}, "duration_ms": 3, "attempts": 1,
}  # fmt: skip


class Broken(dict[str, Any]):
    """Variables of a host that cannot be rendered."""

    def get(self, key: str, default: Any = None) -> Any:
        if key == "slipway_apps":
            raise AnsibleUndefinedVariable("'x' is undefined")
        return super().get(key, default)


def hostvars(**more: Any) -> dict[str, Any]:
    own = {"group_names": ["web", "edge"], "slipway_health": {"results": [RESULT]}, "slipway_apps": APPS}
    return {"a": {**own, **more}, "b": {"group_names": ["ungrouped"], "slipway_health": {"unreachable": True}}}


def test_the_report_says_groups_and_applications() -> None:
    report = FILTERS["health_report"](hostvars(), ["a", "b"], at="2026-01-01T00:00:00Z", previous="garbage")
    assert {name: host["groups"] for name, host in report["hosts"].items()} == {"a": ["edge", "web"], "b": []}
    assert report["applications"] == [
        {"name": "shop", "kind": "http", "group": "web", "database": True, "redis": False},
        {"name": "mailer", "kind": "worker", "group": "web", "database": False, "redis": True},
    ]
    assert [entry["score"] for entry in report["history"]] == [report["score"]]


def test_a_host_that_was_not_asked_stands_there_as_an_earlier_step_met_it() -> None:
    variables = hostvars(
        slipway_health={"skipped": True}, slipway_health_host={"unreachable": True, "msg": "timed out"}
    )
    (result,) = FILTERS["health_report"](variables, ["a"])["hosts"]["a"]["results"]
    assert (result["status"], result["message"]) == ("critical", "the host cannot be reached: timed out")


@pytest.mark.parametrize("apps", [None, [], "text", {"shop": None}])
def test_no_applications_are_none(apps: Any) -> None:
    assert FILTERS["health_report"](hostvars(slipway_apps=apps), ["a"])["applications"] == []


def test_applications_that_cannot_be_rendered_are_taken_from_another_host() -> None:
    variables = hostvars()
    variables["a"] = Broken(variables["a"])
    variables["b"]["slipway_apps"] = APPS
    assert len(FILTERS["health_report"](variables, ["a", "b"])["applications"]) == 2
    assert FILTERS["health_report"](variables, ["a"])["applications"] == []


def test_the_page() -> None:
    report = FILTERS["health_report"](hostvars(), ["a"])
    assert FILTERS["health_page"](report, TEMPLATE).startswith("<!DOCTYPE html>")
    with pytest.raises(AnsibleFilterError, match="lacks @REPORT@"):
        FILTERS["health_page"](report, "<html></html>")


@pytest.mark.parametrize("name", ["health_page", "health_table", "health_message", "health_junit"])
def test_what_is_no_report_is_refused(name: str) -> None:
    more = (TEMPLATE,) if name == "health_page" else ()
    for wrong in ({}, [], "text", {"verdict": "healthy"}):
        with pytest.raises(AnsibleFilterError, match="health_report"):
            FILTERS[name](wrong, *more)


def test_checks_of_hosts_get_the_controllers_time() -> None:
    given = [{"type": "host"}, {"type": "host", "controller_epoch": 5}, {"type": "tcp"}]
    mine, own, other = FILTERS["health_clock"](given)
    assert abs(mine["controller_epoch"] - time.time()) < 60
    assert own == given[1]
    assert other == given[2]
