"""The health checks that follow from an inventory: which, from where, and what an inventory says otherwise."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.specification import parse_checks
from ansible_collections.slipway.stack.plugins.module_utils.topology.build import build
from ansible_collections.slipway.stack.plugins.module_utils.topology.checks import health_checks
from ansible_collections.slipway.stack.plugins.module_utils.topology.model import TopologyError
from ansible_collections.slipway.stack.plugins.module_utils.topology.validate import inventory_findings
from ansible_collections.slipway.stack.plugins.module_utils.topology.view import host_view
from ansible_collections.slipway.stack.tests.unit.plugins.module_utils.topology.examples import (
    MAILER,
    SHOP,
    inventory,
)

ONE = {"edge": ["one"], "shop": ["one"], "postgresql": ["one"], "redis": ["one"]}
CHAT = {**SHOP, "kind": "websocket", "locations": [], "single_instance": True, "instances": 1}


def checks_of(host, apps=None, groups=None, host_variables=None):
    topology = build(inventory(apps, groups, host_variables))
    return health_checks(topology, topology.hosts[host], "/ca.crt")


def proving(word, checks):
    return [check for check in checks if word in check.get("proves", ())]


def with_shop(**fields):
    return {"shop": {**SHOP, **fields}}


@pytest.mark.parametrize("groups", [None, ONE])
@pytest.mark.parametrize("apps", [None, {"shop": CHAT, "mailer": MAILER}, with_shop(certificate="acme")])
def test_the_module_takes_every_check(groups, apps):
    for host in build(inventory(apps, groups)).hosts:
        checks = checks_of(host, apps, groups)
        assert len(parse_checks(checks)) == len(checks)
        assert all(check["part"] for check in checks)


@pytest.mark.parametrize("groups", [None, ONE])
def test_names_on_one_host_are_told_apart(groups):
    for host in build(inventory(None, groups)).hosts:
        names = [check["name"] for check in checks_of(host, None, groups)]
        assert len(names) == len(set(names))


def test_parts_are_those_of_the_stack():
    assert {check["part"] for check in checks_of("one", None, ONE)} == {
        "host",
        "edge",
        "postgresql",
        "redis",
        "shop",
        "mailer",
    }


def test_only_an_edge_looks_from_the_edge():
    assert proving("edge", checks_of("edge1"))
    assert not proving("edge", checks_of("app1"))


@pytest.mark.parametrize(
    ("variables", "word"),
    [({"firewall_enabled": False}, "firewall"), ({"firewall_enabled": "false"}, "firewall")],
)
def test_what_a_host_does_without_is_not_looked_for(variables, word):
    assert proving(word, checks_of("edge1"))
    assert not proving(word, checks_of("edge1", host_variables={"edge1": variables}))


@pytest.mark.parametrize(
    ("fields", "variables", "missing"),
    [
        ({}, {}, set()),
        ({}, {"nginx_hsts_seconds": 0}, {"Strict-Transport-Security"}),
        ({"headers": {"x-frame-options": None}}, {}, {"X-Frame-Options"}),
    ],
)
def test_headers_that_were_left_out_are_not_looked_for(fields, variables, missing):
    def wanted(checks):
        (check,) = proving("security_headers", checks)
        return set(check["response_headers"])

    found = wanted(checks_of("edge1", with_shop(**fields), host_variables={"edge1": variables}))
    assert wanted(checks_of("edge1")) - found == missing


def test_whoever_lets_every_page_in_is_not_asked_to_refuse_one():
    assert proving("cors", checks_of("edge1", with_shop(cors={"origins": ["https://a.example.org"]})))
    assert not proving("cors", checks_of("edge1", with_shop(cors={"origins": ["*"]})))


def test_websockets_are_tried_with_the_applications_own_origin_and_refused_with_another():
    (own,) = proving("websocket", checks_of("edge1"))
    (foreign,) = proving("websocket_origin", checks_of("edge1"))
    assert own["headers"]["Origin"] == "https://shop.example.org"
    assert "refused" not in own
    assert foreign["refused"]
    assert foreign["headers"]["Origin"] not in own["url"]


def test_a_program_of_websockets_alone_is_refused_to_pages_of_others():
    checks = checks_of("edge1", {"shop": CHAT})
    assert proving("websocket_origin", checks)[0]["url"] == "wss://shop.example.org/"
    assert not proving("websocket", checks)


def test_websocket_metrics_are_asked_for_where_the_program_has_them():
    location = {"path": "/api/health/websocket", "kind": "health"}
    assert not proving("websocket_metrics", checks_of("edge1"))
    assert proving("websocket_metrics", checks_of("edge1", with_shop(locations=[location])))


@pytest.mark.parametrize(
    ("fields", "requests", "connections"),
    [
        ({}, True, 50),
        ({"connections_max": 0}, True, 0),
        ({"limits": {"general": None, "api": None, "auth": None}}, False, 50),
    ],
)
def test_limits_are_wanted_as_the_application_has_them(fields, requests, connections):
    (check,) = proving("limits", checks_of("edge1", with_shop(**fields)))
    assert (check.get("requests", True), check["connections"]) == (requests, connections)


def test_a_single_instance_runs_on_no_other_host():
    (check,) = proving("single_instance", checks_of("app2", {"shop": CHAT}))
    assert (check["unit"], check["active"]) == ("slipway-shop@3000.service", False)
    assert not proving("single_instance", checks_of("app2"))


def test_hosts_have_what_their_checks_log_in_with():
    by_name = {app["name"]: app for app in host_view(build(inventory()), "app1")["applications"]}
    assert by_name["shop"]["health_packages"] == ["python3-psycopg2", "python3-redis"]
    assert by_name["mailer"]["health_packages"] == []


def test_options_are_by_type_and_host():
    variables = {"app1": {"slipway_health_options": {"http": {"crit_ms": 5000}, "host": {"disk_warn_percent": 70}}}}
    mine = checks_of("app1", host_variables=variables)
    assert [check["disk_warn_percent"] for check in mine if check["type"] == "host"] == [70]
    assert all(check["crit_ms"] == 5000 for check in mine if check["type"] == "http")
    assert not any("crit_ms" in check for check in checks_of("app2", host_variables=variables))
    assert len(parse_checks(mine)) == len(mine)


def test_what_an_application_says_of_its_own_checks_wins():
    apps = {"shop": {**SHOP, "health_checks": [{"path": "/api/health", "warn_ms": 100}, {"path": "/report"}]}}
    variables = {"app1": {"slipway_health_options": {"http": {"warn_ms": 300}}}}
    levels = {check["name"]: check["warn_ms"] for check in checks_of("app1", apps, None, variables) if "url" in check}
    assert levels["shop 3000 /api/health"] == 100
    assert levels["shop 3000 /report"] == 300


@pytest.mark.parametrize(
    ("options", "field", "words"),
    [
        ({"http": {"status": [200, 404]}}, "slipway_health_options.http.status", "remove"),
        ({"htp": {}}, "slipway_health_options.htp", "write http"),
        ({"http": {"crit_mss": 1}}, "slipway_health_options.http.crit_mss", "write crit_ms"),
        ({"http": {"url": "http://a"}}, "slipway_health_options.http.url", "remove"),
        ({"http": {"crit_ms": -1}}, "slipway_health_options.http.crit_ms", "0 or more"),
        ({"http": {"crit_ms": "fast"}}, "slipway_health_options.http.crit_ms", "a number"),
        ({"http": 5}, "slipway_health_options.http", "a mapping of options"),
        ([], "slipway_health_options", "a mapping of types"),
    ],
)
def test_options_that_cannot_be_followed_are_refused_by_name(options, field, words):
    broken = inventory(host_variables={"app1": {"slipway_health_options": options}})
    (finding,) = inventory_findings(broken)
    assert (finding.host, finding.variable) == ("app1", field)
    assert words in f"{finding.expected} {finding.fix}"
    if options:
        topology = build(broken)
        with pytest.raises(TopologyError, match="of app1"):
            health_checks(topology, topology.hosts["app1"], "/ca.crt")


def test_an_application_says_what_else_its_instances_have_to_answer():
    wanted = {"path": "/api/health", "json": {"memoryUsage": {"lt": "300MB"}}, "warn_ms": 200}
    found = [check for check in checks_of("app1", with_shop(health_checks=[wanted])) if "/api/health" in check["name"]]
    assert [check["name"] for check in found] == ["shop 3000 /api/health", "shop 3001 /api/health"]
    assert found[1]["url"].endswith(":3001/api/health")
    assert (found[1]["json"], found[1]["warn_ms"], found[1]["part"]) == (wanted["json"], 200, "shop")
    parse_checks(found)


@pytest.mark.parametrize(
    ("given", "place", "text"),
    [
        ({}, "shop.health_checks[0].path", "a URL path"),
        ({"path": "/x", "url": "http://y"}, "shop.health_checks[0].url", "does not say itself"),
        ({"path": "/x", "jsn": {}}, "shop.health_checks[0]", "did you mean json"),
        ({"path": "/x", "json": {"a..b": 1}}, "shop.health_checks[0]", "a..b"),
        ({"path": "/x", "timeout_seconds": -1}, "shop.health_checks[0]", "timeout_seconds"),
        ("/x", "shop.health_checks", "a list of mappings"),
    ],
)
def test_health_checks_that_cannot_run_are_refused_by_name(given, place, text):
    findings = inventory_findings(inventory(with_shop(health_checks=[given])))
    assert [finding.variable for finding in findings] == [f"slipway_apps.{place}"]
    assert text in findings[0].expected


def test_a_worker_has_no_path_to_ask():
    findings = inventory_findings(inventory({"mailer": {**MAILER, "health_checks": [{"path": "/x"}]}}))
    assert [finding.variable for finding in findings] == ["slipway_apps.mailer.health_checks"]
