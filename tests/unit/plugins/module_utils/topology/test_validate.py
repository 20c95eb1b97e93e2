"""What is refused, and in which words."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.topology.validate import (
    inventory_findings,
    misplaced,
    near_misses,
)
from ansible_collections.slipway.stack.tests.unit.plugins.module_utils.topology.examples import MAILER, SHOP, inventory
from hypothesis import given
from hypothesis import strategies as st


def test_a_sound_inventory_has_no_findings():
    assert inventory_findings(inventory()) == ()


@pytest.mark.parametrize(
    ("entry", "variable", "words"),
    [
        ({**SHOP, "memory_limit": 5}, "slipway_apps.shop.memory_limit", "memory_limit_mb"),
        ({**SHOP, "portt": 5}, "slipway_apps.shop.portt", "write port"),
        ({**SHOP, "port": 0}, "slipway_apps.shop.port", "1024 to 65535"),
        ({**SHOP, "port": 70000}, "slipway_apps.shop.port", "70000"),
        ({**SHOP, "port": "3000"}, "slipway_apps.shop.port", "'3000'"),
        ({**SHOP, "port": True}, "slipway_apps.shop.port", "True"),
        ({**SHOP, "kind": "web"}, "slipway_apps.shop.kind", "http, websocket or worker"),
        ({**SHOP, "instances": 0}, "slipway_apps.shop.instances", "max"),
        ({**SHOP, "instances": 4, "single_instance": True}, "slipway_apps.shop.instances", "pub/sub"),
        ({**SHOP, "group": "nobody"}, "slipway_apps.shop.group", "not a group of the inventory"),
        ({**SHOP, "group": "edge"}, "slipway_apps.shop.group", "own"),
        ({**SHOP, "release": "../../etc", "artifact": "x"}, "slipway_apps.shop.release", "../../etc"),
        ({**SHOP, "release": "r1"}, "slipway_apps.shop.artifact", "together"),
        ({**SHOP, "release": "r1", "artifact": "a.tar.gz"}, "slipway_apps.shop.artifact_sha256", "together"),
        ({**SHOP, "runtime": {"nam": "node"}}, "slipway_apps.shop.runtime.nam", "write name"),
        ({**SHOP, "database": {"extension": []}}, "slipway_apps.shop.database.extension", "extensions"),
        ({**SHOP, "locations": [{"path": "x"}]}, "slipway_apps.shop.locations[0].path", "begins with /"),
        ({**SHOP, "locations": [{"path": "/", "kin": "api"}]}, "slipway_apps.shop.locations[0].kin", "write kind"),
        ({**SHOP, "read_timeout_seconds": "60 secs"}, "slipway_apps.shop.read_timeout_seconds", "whole number"),
        ({**SHOP, "certificate": "letsencrypt"}, "slipway_apps.shop.certificate", "acme"),
        ({**SHOP, "certificate": {"key_file": "k"}}, "slipway_apps.shop.certificate.certificate_file", "nothing"),
        ({**MAILER, "locations": []}, "slipway_apps.shop.locations", "worker"),
        ({**MAILER, "port": 3000}, "slipway_apps.shop.port", "worker"),
        ({"kind": "worker", "command": ["x"]}, "slipway_apps.shop.group", "nothing"),
        ("shop", "slipway_apps.shop", "mapping"),
    ],
)
def test_a_bad_application_is_refused_by_name(entry, variable, words):
    found = [finding for finding in inventory_findings(inventory({"shop": entry})) if finding.variable == variable]
    assert len(found) == 1
    assert words in f"{found[0].received} {found[0].expected} {found[0].fix}"


def test_an_empty_group_is_refused():
    groups = {"edge": ["e"], "shop": [], "postgresql": ["d"], "redis": ["d"]}
    (finding,) = inventory_findings(inventory({"shop": SHOP}, groups))
    assert (finding.variable, finding.received) == ("slipway_apps.shop.group", "shop (has no hosts)")


def test_two_applications_on_one_port_of_a_host():
    (finding,) = {
        (found.variable, found.received)
        for found in inventory_findings(
            inventory({"shop": SHOP, "blog": {**SHOP, "port": 3001, "server_names": ["blog.example.org"]}})
        )
    }
    assert finding == ("slipway_apps.blog.port", "3001")


def test_instances_beyond_the_last_port():
    found = inventory_findings(inventory({"shop": {**SHOP, "port": 65535}}))
    assert {(finding.host, finding.received) for finding in found} == {("app1", "65536"), ("app2", "65536")}


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"groups": {"shop": ["a"], "postgresql": ["d"], "redis": ["d"]}}, "groups.edge"),
        ({"groups": {"edge": ["e"], "shop": ["a"], "redis": ["d"]}}, "groups.postgresql"),
        ({"groups": {"edge": ["e"], "shop": ["a"], "postgresql": ["d"]}}, "groups.redis"),
        (
            {"groups": {"edge": ["e"], "shop": ["a"], "postgresql": ["d", "f"], "redis": ["d"]}},
            "groups.postgresql",
        ),
        ({"slipway_redis_mode": "sentinel"}, "slipway_redis_mode"),
        ({"slipway_redis_mode": "cluster", "slipway_redis_instances_per_host": 1}, "groups.redis"),
        ({"slipway_redis_mode": "single"}, "groups.redis"),
        ({"slipway_redis_port": "abc"}, "slipway_redis_port"),
        ({"slipway_redis_port": 60000}, "slipway_redis_port"),
        ({"slipway_redis_replicas": -1}, "slipway_redis_replicas"),
        ({"slipway_postgresql_port": 80}, "slipway_postgresql_port"),
        ({"slipway_coordination_host": "edge9"}, "slipway_coordination_host"),
        ({"slipway_deploy_hooks": {"before_lunch": "a.yml"}}, "slipway_deploy_hooks.before_lunch"),
        ({"slipway_deploy_notify": ["chat.example.org"]}, "slipway_deploy_notify[0].url"),
        ({"host_variables": {"app1": {"ansible_host": "app1.example.org"}}}, "slipway_address"),
        ({"host_variables": {"edge1": {"nginx_https_port": 0}}}, "nginx_https_port"),
        ({"host_variables": {"app1": {"slipway_cores": "many"}}}, "slipway_cores"),
    ],
)
def test_services_that_cannot_be_provided(changes, variable):
    assert [finding.variable for finding in inventory_findings(inventory(**changes))] == [variable]


@pytest.mark.parametrize("directory", ["/", "", "data", "/srv", "/srv/../etc/x", "/srv/pg/", 5])
def test_a_data_directory_that_would_be_a_disaster(directory):
    (finding,) = inventory_findings(inventory(host_variables={"data1": {"postgresql_data_directory": directory}}))
    assert (finding.host, finding.variable) == ("data1", "postgresql_data_directory")


def test_two_applications_with_one_server_name():
    (finding,) = inventory_findings(inventory({"shop": SHOP, "my_blog": {**SHOP, "port": 4000}}))
    assert (finding.variable, finding.received) == (
        "slipway_apps.my_blog.server_names",
        "'shop.example.org' is used by shop, too",
    )


def test_a_role_variable_that_follows_from_another_names_it():
    (finding,) = misplaced({"data1": ["redis_mode", "redis_policy"]})
    assert (finding.host, finding.variable, finding.fix) == ("data1", "redis_mode", "say it in slipway_redis_mode")


KNOWN = frozenset({"slipway_apps", "nginx_worker_connections", "postgresql_memory_mb"})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("slipway_app", "slipway_apps"),
        ("slipway_asp", "slipway_apps"),
        ("nginx_worker_conections", "nginx_worker_connections"),
        ("postgresql_memory_gb", "postgresql_memory_mb"),
    ],
)
def test_a_slip_is_named_with_its_host(name, meant):
    (finding,) = near_misses({"app1": [name]}, KNOWN)
    assert (finding.host, finding.variable) == ("app1", name)
    assert meant in finding.fix


@pytest.mark.parametrize(
    "name", ["slipway_apps", "slipway_owner_team", "nginx_vhosts", "__slipway_apps", "ansible_app"]
)
def test_own_variables_of_the_user_are_allowed(name):
    assert list(near_misses({"app1": [name]}, KNOWN)) == []


@given(
    st.dictionaries(
        st.text(max_size=8),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
            max_leaves=8,
        ),
        max_size=4,
    )
)
def test_any_rubbish_is_a_finding_and_never_a_crash(entry):
    assert inventory_findings(inventory({"shop": entry}))


@pytest.mark.parametrize(
    ("address", "edges", "words"),
    [
        ("10.0.0.100", ["edge1", "edge2"], "prefix length"),
        ("nonsense/24", ["edge1", "edge2"], "prefix length"),
        ("10.0.0.100/24", ["edge1"], "two hosts or more"),
        ("10.0.0.2/24", ["edge1", "edge2"], "edge2's own"),
    ],
)
def test_a_bad_shared_address_is_refused(address, edges, words):
    groups = {"edge": edges, "shop": ["app1"], "postgresql": ["data1"], "redis": ["data1"]}
    (finding,) = inventory_findings(inventory(groups=groups, slipway_edge_address=address))
    assert finding.variable == "slipway_edge_address"
    assert words in finding.expected


def test_a_location_may_name_a_limit_of_the_edge_and_no_other():
    shop = {"shop": {**SHOP, "locations": [{"path": "/search", "limits": ["search"]}]}}
    (finding,) = inventory_findings(inventory(shop))
    assert finding.variable.startswith("slipway_apps.shop.locations[0].limits")
    limits = {"search": {"requests": 10, "seconds": 60}}
    assert inventory_findings(inventory(shop, host_variables={"edge1": {"nginx_limits": limits}})) == ()
