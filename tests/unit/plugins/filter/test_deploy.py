# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filters of deploys take what Ansible and the modules hand over, and give what the tasks need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible import context
from ansible.errors import AnsibleFilterError
from ansible.module_utils.common.collections import ImmutableDict
from ansible_collections.slipway.stack.plugins.filter.deploy import FilterModule
from ansible_collections.slipway.stack.tests.unit.plugins.module_utils.topology.examples import MAILER, SHOP

FILTERS = FilterModule().filters()
OLD, NEW = "1.3.0", "1.4.0"
GROUPS = {
    "all": ["edge1", "app1", "app2", "data1", "data2", "data3"],
    "edge": ["edge1"],
    "shop": ["app1", "app2"],
    "postgresql": ["data1"],
    "redis": ["data1", "data2", "data3"],
}
STARTED_AT = "2026-11-24T19:30:00Z"


def releases(current: str | None = OLD, *stored: str, **more: Any) -> dict[str, Any]:
    return {
        "current": current,
        "releases": [{"id": release} for release in stored or (OLD, NEW)],
        "bad": {},
        "history": [{"release": OLD, "at": STARTED_AT}, {"release": current, "at": STARTED_AT}],
        "running": {"3000": current, "3001": current},
        **more,
    }


def pool(**owners: str) -> dict[str, Any]:
    """The pool as an edge tells of it; `owners` have taken out a host."""
    members = [
        {
            "name": f"{host}:{port}",
            "state": "draining" if host in owners else "active",
            "owner": owners.get(host, ""),
            "websockets": 0,
        }
        for host in ("app1", "app2")
        for port in (3000, 3001)
    ]
    return {"pools": {"shop": {"members": members}}}


def fleet(apps: dict[str, Any] | None = None, **said: Any) -> dict[str, dict[str, Any]]:
    """The variables of all hosts after the deploy has looked at them; `said` are extra variables."""
    found: dict[str, dict[str, Any]] = {
        name: {"ansible_host": f"10.0.0.{number}", "slipway_apps": apps or {"shop": SHOP, "mailer": MAILER}, **said}
        for number, name in enumerate(GROUPS["all"], 1)
    }
    for name in GROUPS["shop"]:
        found[name]["slipway_releases"] = releases()
    found["edge1"]["slipway_pool"] = pool()
    ledger = {"unfinished": None, "succeeded": [OLD], "contracted": [], "migrated": [], "seeded": False}
    found["edge1"]["slipway_ledger"] = ledger
    return found


SHOP_IS_MEANT = {"deploy_application": "shop", "deploy_release": NEW}


def request(hostvars: dict[str, Any], hosts: Any = GROUPS["all"], direction: str = "forward") -> dict[str, Any]:
    return FILTERS["deploy_request"](hostvars, GROUPS, "edge1", direction, hosts)


def planned(hostvars: dict[str, Any], direction: str = "forward", hosts: Any = GROUPS["all"], **more: Any) -> Any:
    return FILTERS["deploy_plan"](hostvars, GROUPS, "edge1", direction, hosts, **more)


# What is asked for --------------------------------------------------------------------------------------------------


def test_a_request_is_all_that_tasks_need() -> None:
    made = request(fleet(**SHOP_IS_MEANT))
    assert made["refusal"] == ""
    assert (made["application"], made["release"], made["owner"], made["strategy"]) == (
        "shop",
        NEW,
        "deploy shop",
        "rolling",
    )
    assert (made["hosts"], made["edges"], made["coordination_host"]) == (["app1", "app2"], ["edge1"], "edge1")
    assert made["instances"] == {"app1": [3000, 3001], "app2": [3000, 3001]}
    assert made["addresses"] == {"app1": "10.0.0.2", "app2": "10.0.0.3"}
    assert (made["database"], made["writer"]) == ("shop", "data1")
    assert (made["unit"], made["root"], made["environment_file"]) == (
        "slipway-shop",
        "/srv/slipway/shop",
        "/etc/slipway/shop.env",
    )
    assert (made["probe"], made["is_served"]) == ("http", True)


@pytest.mark.parametrize(("heartbeat_seconds", "probe"), [(0, "running"), (15, "heartbeat")])
def test_a_worker_is_asked_by_its_own_signal(heartbeat_seconds: int, probe: str) -> None:
    apps = {"shop": SHOP, "mailer": {**MAILER, "heartbeat_seconds": heartbeat_seconds}}
    made = request(fleet(apps, deploy_application="mailer", deploy_release=NEW))
    assert (made["refusal"], made["probe"], made["edges"]) == ("", probe, [])
    assert made["heartbeat_seconds"] == max(1, heartbeat_seconds)
    assert (made["database"], made["writer"], made["instances"]) == (None, None, {"app1": [1], "app2": [1]})


@pytest.mark.parametrize(
    ("said", "call", "words"),
    [
        ({"deploy_release": "a;rm -rf /"}, {}, ["ERROR deploy_release", "'a;rm -rf /'"]),
        ({"deploy_drain_seconds": "30 secs"}, {}, ["ERROR deploy_drain_seconds", "'30 secs'", "from 5 to 86400"]),
        ({"deploy_application": None}, {}, ["ERROR deploy_application", "one of shop, mailer"]),
        ({"deploy_drain_second": 9}, {}, ["deploy_drain_second", "deploy_drain_seconds"]),
        ({}, {"hosts": ["app1"]}, ["ERROR --limit on edge1", "from which hosts are drained"]),
        ({"slipway_redis_port": "abc"}, {}, ["ERROR slipway_redis_port"]),
    ],
)
def test_a_refusal_names_what_is_wrong(said: dict[str, Any], call: dict[str, Any], words: list[str]) -> None:
    refusal = request(fleet(**{**SHOP_IS_MEANT, **said}), **call)["refusal"]
    assert refusal.startswith("preflight: ")
    assert "nothing was changed on any host" in refusal
    assert all(word in refusal for word in words)


@pytest.mark.parametrize("called", [{}, {"start_at_task": None, "tags": ["all"], "skip_tags": []}])
def test_a_run_of_all_tasks(monkeypatch: pytest.MonkeyPatch, called: dict[str, Any]) -> None:
    monkeypatch.setattr(context, "CLIARGS", ImmutableDict(called))
    assert FILTERS["whole_run"]("all") == "all"


@pytest.mark.parametrize(
    ("called", "told"),
    [
        ({"start_at_task": "The lease"}, "--start-at-task: The lease; expected none"),
        ({"tags": ["all", "app"]}, "--tags: app; expected none"),
        ({"tags": ["app", "redis"]}, "--tags: app,redis; expected none"),
        ({"skip_tags": ["always"]}, "--skip-tags: always; expected none"),
    ],
)
def test_no_task_may_be_left_out(monkeypatch: pytest.MonkeyPatch, called: dict[str, Any], told: str) -> None:
    monkeypatch.setattr(context, "CLIARGS", ImmutableDict(called))
    with pytest.raises(AnsibleFilterError, match=f"{told}.*Nothing was changed"):
        FILTERS["whole_run"]("all")


@pytest.mark.parametrize(
    ("said", "options"),
    [
        ("/builds/shop.tar.gz", {"source": {"type": "tarball", "path": "/builds/shop.tar.gz"}}),
        (
            {"type": "git", "repository": "r", "ref": "v1", "build": [["npm", "ci"]], "subdirectory": "dist"},
            {
                "source": {"type": "git", "repository": "r", "ref": "v1"},
                "build": [["npm", "ci"]],
                "subdirectory": "dist",
            },
        ),
    ],
)
def test_what_makes_an_archive(said: Any, options: dict[str, Any]) -> None:
    assert FILTERS["artifact_options"](said) == options


def test_a_relative_path_starts_where_ansible_was_called(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert FILTERS["artifact_options"]("dist/a.tar")["source"]["path"] == str(tmp_path / "dist" / "a.tar")


def test_an_instance_for_each_core_needs_the_cores() -> None:
    apps = {"shop": {**SHOP, "instances": "max"}}
    assert "declare slipway_cores for app1" in request(fleet(apps, **SHOP_IS_MEANT))["refusal"]
    made = request(fleet(apps, slipway_cores=2, **SHOP_IS_MEANT))
    assert (made["refusal"], made["instances"]["app2"]) == ("", [3000, 3001])


# The plan -----------------------------------------------------------------------------------------------------------


def test_a_plan_is_made_of_what_hosts_say() -> None:
    hostvars = fleet(**SHOP_IS_MEANT)
    made = planned(hostvars)
    assert (made["refusal"], made["is_needed"], made["purpose"]) == ("", True, "deploy shop 1.4.0")
    assert made["targets"] == {"app1": NEW, "app2": NEW}
    assert made["origins"] == {"app1": OLD, "app2": OLD}
    assert (made["before"], made["lacking"], made["left_out"]) == ([OLD], [], [])
    first, second = made["batches"]
    assert first == {
        "phase": "canary",
        "title": "canary | app1",
        "number": 1,
        "canary": True,
        "hosts": ["app1"],
        "instances": {"app1": [3000, 3001]},
        "members": {"app1": ["app1:3000", "app1:3001"]},
    }
    assert (second["title"], second["canary"]) == ("batch 2 of 2 | app2", False)
    assert made["impact"][0] == "shop: 1.3.0 -> 1.4.0, 2 batches, rolling"


def test_a_refused_plan_has_no_impact() -> None:
    made = planned(fleet(**SHOP_IS_MEANT, deploy_batch=2))
    assert made["impact"] == []
    assert "ERROR deploy_batch" in made["refusal"]
    with pytest.raises(AnsibleFilterError, match="deploy_batch"):
        planned(fleet(**SHOP_IS_MEANT, deploy_batch=0))


def test_the_release_may_be_what_the_archive_is() -> None:
    hostvars = fleet(deploy_application="shop", deploy_artifact={"type": "git"})
    assert planned(hostvars, release="3f2a1bc")["lacking"] == ["app1", "app2"]
    assert planned(hostvars, release="3f2a1bc")["release"] == "3f2a1bc"
    # One that the run names goes before it.
    assert planned(fleet(**SHOP_IS_MEANT), release="3f2a1bc")["release"] == NEW


def test_hosts_that_a_limit_leaves_out_are_not_in_the_plan() -> None:
    made = planned(fleet(**SHOP_IS_MEANT), hosts=["edge1", "app1"])
    assert (list(made["targets"]), made["left_out"]) == (["app1"], ["app2"])


def test_the_way_back_is_planned_for_those_who_are_there() -> None:
    hostvars = fleet(**SHOP_IS_MEANT)
    hostvars["edge1"]["slipway_deploy"] = planned(hostvars)
    for name in GROUPS["shop"]:
        hostvars[name]["slipway_releases"] = releases(NEW)
    hostvars["edge1"]["slipway_pool"] = pool(app2="deploy shop")
    made = planned(hostvars, failed=["app2"])
    assert [(batch["phase"], batch["hosts"]) for batch in made["batches"]] == [
        ("back 1 of 2", ["app2"]),
        ("back 2 of 2", ["app1"]),
    ]
    assert made["targets"] == {"app2": OLD, "app1": OLD}
    # Who was lost would leave nobody to serve: the other stays.
    assert planned(hostvars, failed=["app2"], hosts=["edge1", "app1"])["batches"] == []


def test_a_rollback_says_so() -> None:
    hostvars = fleet(deploy_application="shop")
    for name in GROUPS["shop"]:
        hostvars[name]["slipway_releases"] = releases(NEW)
    made = planned(hostvars, "back")
    assert (made["refusal"], made["purpose"], made["release"]) == ("", "roll back shop 1.3.0", OLD)
    assert request(hostvars, direction="back")["release"] is None


@pytest.mark.parametrize(
    ("stored", "release", "lacks"),
    [((OLD, NEW), NEW, False), ((OLD,), NEW, True), ((OLD, NEW), None, True)],
)
def test_whether_an_archive_is_needed(stored: tuple[str, ...], release: str | None, lacks: bool) -> None:
    hostvars = fleet()
    hostvars["app2"]["slipway_releases"] = releases(OLD, *stored)
    assert FILTERS["deploy_lacks"](hostvars, {"hosts": ["app1", "app2"], "release": release}) is lacks


def test_hosts_that_were_not_asked_lack_nothing() -> None:
    hostvars = fleet()
    hostvars["app2"]["slipway_releases"] = {"skipped": True}
    del hostvars["app1"]["slipway_releases"]
    assert FILTERS["deploy_lacks"](hostvars, {"hosts": ["app1", "app2"], "release": NEW}) is False


# The proof ----------------------------------------------------------------------------------------------------------


def test_the_checks_of_a_batch_are_those_of_its_instances() -> None:
    shop = {**SHOP, "health_checks": [{"path": "/api/health"}]}
    hostvars = fleet({"shop": shop, "mailer": MAILER}, **SHOP_IS_MEANT)
    plan = planned(hostvars)
    batch = {**plan["batches"][0], "instances": {"app1": [3001]}}
    checks = FILTERS["deploy_checks"](hostvars, GROUPS, "app1", plan, batch)
    assert [(check["type"], check.get("unit") or check.get("url")) for check in checks] == [
        ("systemd", "slipway-shop@3001.service"),
        ("release", "slipway-shop@3001.service"),
        ("http", "http://10.0.0.2:3001/readyz"),
        ("http", "http://10.0.0.2:3001/api/health"),
    ]
    assert checks[1]["release"] == NEW


def test_the_checks_of_a_worker() -> None:
    hostvars = fleet(deploy_application="mailer", deploy_release=NEW)
    for name in GROUPS["shop"]:
        hostvars[name]["slipway_releases"] = releases(OLD, running={"1": OLD})
    plan = planned(hostvars)
    checks = FILTERS["deploy_checks"](hostvars, GROUPS, "app1", plan, plan["batches"][0])
    assert [check["type"] for check in checks] == ["systemd", "release"]


def test_the_checks_of_an_edge_are_those_of_the_application_alone() -> None:
    blog = {**SHOP, "port": 4000, "server_names": ["blog.example.org"]}
    hostvars = fleet({"shop": SHOP, "blog": blog}, **SHOP_IS_MEANT)
    checks = FILTERS["deploy_checks"](hostvars, GROUPS, "edge1", planned(hostvars))
    assert {check["application"] for check in checks} == {"shop"}
    assert {check["type"] for check in checks} == {"http", "websocket"}


def test_options_of_checks_that_cannot_be_are_refused() -> None:
    hostvars = fleet(**SHOP_IS_MEANT)
    plan = planned(hostvars)
    hostvars["app1"]["slipway_health_options"] = {"htp": {}}
    with pytest.raises(AnsibleFilterError, match="app1"):
        FILTERS["deploy_checks"](hostvars, GROUPS, "app1", plan, plan["batches"][0])


# A failure ----------------------------------------------------------------------------------------------------------


def failed(hostvars: dict[str, Any], hosts: Any = ("edge1", "app1", "app2"), phase: str = "canary") -> Any:
    return FILTERS["deploy_failure"](hostvars, hosts, planned(hostvars), phase)


def in_rescue(
    hostvars: dict[str, Any], action: str = "slipway.stack.app_instances", state: str = "running", **result: Any
) -> dict[str, Any]:
    """All hosts came to the rescue, because of what a task said on app1."""
    for name in ("edge1", "app1", "app2"):
        hostvars[name]["slipway_is_here"] = True
    task = {"name": "Start canary", "action": action, "args": {"state": state}}
    hostvars["app1"].update(ansible_failed_task=task, ansible_failed_result=result)
    return hostvars


@pytest.mark.parametrize(
    ("action", "is_release"),
    [
        ("slipway.stack.app_instances", True),
        ("slipway.stack.health_check", True),
        ("ansible.builtin.assert", True),
        ("slipway.stack.release", False),
        ("slipway.stack.pool_member", False),
    ],
)
def test_whose_fault_a_failure_is(action: str, is_release: bool) -> None:
    found = failed(in_rescue(fleet(**SHOP_IS_MEANT), action, msg="app1:3000 is not ready\nlog"))
    assert found["is_release"] is is_release
    assert found["summary"] == "canary failed: app1: app1:3000 is not ready"


def test_it_is_not_the_new_release_that_would_not_stop() -> None:
    assert not failed(in_rescue(fleet(**SHOP_IS_MEANT), state="stopped", msg="it did not stop"))["is_release"]


def test_a_newer_run_is_no_fault_of_a_release() -> None:
    assert not failed(in_rescue(fleet(**SHOP_IS_MEANT), msg="fence: 6 is lower than 7"))["is_release"]


def test_what_fails_outside_a_batch_is_no_proof_against_a_release() -> None:
    assert not failed(in_rescue(fleet(**SHOP_IS_MEANT), msg="no"), phase="verify")["is_release"]


def test_failed_checks_are_named() -> None:
    results = [
        {"name": "shop 3000 ready", "status": "critical", "message": "status 500"},
        {"name": "shop 3001 ready", "status": "ok", "message": "200"},
    ]
    found = failed(in_rescue(fleet(**SHOP_IS_MEANT), "slipway.stack.health_check", msg="failed", results=results))
    assert found["summary"] == "canary failed: app1: shop 3000 ready: status 500"
    assert (found["batch"], found["release"], found["here"]) == (("app1",), NEW, ["edge1", "app1", "app2"])


def test_a_task_without_words_is_told_by_its_name() -> None:
    assert failed(in_rescue(fleet(**SHOP_IS_MEANT)))["errors"] == {"app1": "Start canary failed"}


def test_of_checks_those_are_told_that_did_not_pass() -> None:
    results = [
        {"name": "shop 3000 ready", "status": "critical", "message": "answers 500"},
        {"name": "shop 3000", "status": "ok", "message": "active"},
    ]
    found = failed(in_rescue(fleet(**SHOP_IS_MEANT), "slipway.stack.health_check", msg="1 of 2", results=results))
    assert found["errors"] == {"app1": "shop 3000 ready: answers 500"}


def test_who_did_not_come_to_the_rescue_cannot_be_reached() -> None:
    hostvars = in_rescue(fleet(**SHOP_IS_MEANT), msg="x")
    del hostvars["app1"]["slipway_is_here"]
    found = failed(hostvars)
    assert (found["unreachable"], found["here"], found["is_release"]) == (("app1",), ["edge1", "app2"], False)
    assert found["summary"] == "canary failed: app1 cannot be reached"


def outcome(hostvars: dict[str, Any], back: Any = ("edge1", "app1", "app2"), hosts: Any = GROUPS["all"]) -> Any:
    in_rescue(hostvars, msg="not ready")
    hostvars["edge1"]["slipway_deploy"] = planned(hostvars, hosts=hosts)
    found = failed(hostvars, [host for host in hosts if host in ("edge1", "app1", "app2")])
    for name in back:
        hostvars[name]["slipway_is_back"] = True
    return FILTERS["deploy_outcome"](found, hostvars, planned(hostvars, failed=["app1"], hosts=hosts))


def test_all_is_as_it_was() -> None:
    result = outcome(fleet(**SHOP_IS_MEANT))
    assert result["whole"] is True
    assert result["text"].splitlines() == [
        "shop 1.4.0: canary failed: app1: not ready",
        "1.3.0 is current on app1, app2",
        "1.4.0 is marked bad: it is not deployed again, and rollback passes it over",
        "every host serves what it served before",
    ]


def test_who_did_not_come_back_is_named() -> None:
    result = outcome(fleet(**SHOP_IS_MEANT), back=["edge1", "app2"])
    assert result["whole"] is False
    assert "not brought back: app1;" in result["text"]


def test_who_was_left_out_is_not_missed() -> None:
    result = outcome(fleet(**SHOP_IS_MEANT), back=["edge1", "app1"], hosts=["edge1", "app1"])
    assert result["whole"] is True
    assert "app2" not in result["text"]


def test_only_what_this_run_took_out_is_named_as_out() -> None:
    hostvars = fleet(**SHOP_IS_MEANT)
    hostvars["edge1"]["slipway_pool"] = pool(app1="deploy shop", app2="ana")
    result = outcome(hostvars)
    assert result["whole"] is False
    assert "still out of the pool: app1:3000 on edge1, app1:3001 on edge1\n" in result["text"]
    hostvars["edge1"]["slipway_pool"] = pool(app2="ana")
    assert outcome(hostvars)["whole"] is True


def test_who_keeps_the_release_is_not_as_before() -> None:
    hostvars = fleet(**SHOP_IS_MEANT)
    hostvars["edge1"]["slipway_deploy"] = planned(hostvars)
    origins = planned(hostvars)["origins"]
    found = failed(in_rescue(hostvars, msg="x"))
    hostvars["app2"]["slipway_releases"] = releases(NEW)
    for name in ("edge1", "app1", "app2"):
        hostvars[name]["slipway_is_back"] = True
    result = FILTERS["deploy_outcome"](found, hostvars, {**planned(hostvars, failed=["app1"]), "origins": origins})
    assert result["whole"] is False
    assert "1.4.0 is current on app2" in result["text"]


# What is told -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "kind"),
    [
        ("canary", "batch"),
        ("batch 2 of 3", "batch"),
        ("back 1 of 2", "batch"),
        ("page on", "page_on"),
        ("go back", "go_back"),
        ("soak", "soak"),
    ],
)
def test_hooks_have_one_name_for_all_batches(phase: str, kind: str) -> None:
    assert FILTERS["deploy_phase_kind"](phase) == kind


def test_the_line_the_table_and_the_data_are_of_now() -> None:
    plan = {"application": "shop", "release": NEW, "needed_seconds": 60}
    lease = {"taken_at": STARTED_AT, "phases": [{"name": "fetch", "began_at": STARTED_AT}]}
    assert FILTERS["deploy_progress"](plan, "fetch") == ">> shop 1.4.0 | fetch"
    assert " elapsed, at most about " in FILTERS["deploy_progress"](plan, "fetch", lease)
    assert FILTERS["deploy_summary"](plan, lease)[0].startswith("shop 1.4.0: ")
    assert list(FILTERS["deploy_timings"](lease)) == ["fetch"]
