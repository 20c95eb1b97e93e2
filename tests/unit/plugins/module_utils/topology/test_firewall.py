"""The matrix lets in whatever the stack's own parts ask of each other, and nothing else."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.firewall.model import Settings, findings, policy
from ansible_collections.slipway.stack.plugins.module_utils.health.net import split_address
from ansible_collections.slipway.stack.plugins.module_utils.topology.build import build
from ansible_collections.slipway.stack.plugins.module_utils.topology.checks import health_checks
from ansible_collections.slipway.stack.plugins.module_utils.topology.firewall import firewall_rules
from ansible_collections.slipway.stack.plugins.module_utils.topology.view import host_view
from ansible_collections.slipway.stack.tests.unit.plugins.module_utils.topology.examples import (
    MAILER,
    SHOP,
    inventory,
)
from hypothesis import given
from hypothesis import strategies as st

HOSTS = ("one", "two", "three", "four", "five")


def rules_of(topology, name):
    return {rule["name"]: rule for rule in firewall_rules(topology, topology.hosts[name])}


def test_the_matrix_of_the_example():
    topology = build(inventory())
    assert rules_of(topology, "edge1") == {
        "edge": {"name": "edge", "sources": ["any"], "protocol": "tcp", "ports": [80, 443]}
    }
    assert rules_of(topology, "app1") == {
        "app-shop": {"name": "app-shop", "sources": ["10.0.0.1"], "protocol": "tcp", "ports": [3000, 3001]}
    }
    data = rules_of(topology, "data1")
    assert data["postgresql"]["sources"] == ["10.0.0.2", "10.0.0.3"]
    assert data["postgresql"]["ports"] == [5432]
    assert data["redis"]["sources"] == ["10.0.0.5", "10.0.0.6", "10.0.0.2", "10.0.0.3"]
    assert data["redis"]["ports"] == [6379, 6380]
    assert data["redis-bus"] == {
        "name": "redis-bus",
        "sources": ["10.0.0.5", "10.0.0.6"],
        "protocol": "tcp",
        "ports": [16379, 16380],
    }


def test_a_single_server_lets_in_the_web_alone():
    topology = build(inventory(groups={"edge": ["one"], "shop": ["one"], "postgresql": ["one"], "redis": ["one"]}))
    assert list(rules_of(topology, "one")) == ["edge"]


def test_applications_that_use_no_data_are_kept_from_it():
    topology = build(inventory({"shop": {**SHOP, "database": False, "redis": False}, "mailer": MAILER}))
    assert list(rules_of(topology, "data1")) == ["redis", "redis-bus"]
    assert rules_of(topology, "data1")["redis"]["sources"] == ["10.0.0.5", "10.0.0.6"]


def test_ports_that_an_edge_was_given():
    topology = build(inventory(host_variables={"edge1": {"nginx_http_port": 8080, "nginx_https_port": 8443}}))
    assert rules_of(topology, "edge1")["edge"]["ports"] == [8080, 8443]


def test_a_view_has_it():
    topology = build(inventory())
    assert host_view(topology, "app1")["firewall"] == firewall_rules(topology, topology.hosts["app1"])


members = st.lists(st.sampled_from(HOSTS), min_size=1, max_size=4, unique=True)
fleets = st.fixed_dictionaries(
    {"edge": members, "shop": members, "redis": members, "postgresql": members.map(lambda names: names[:1])}
)


def asked_of(check):
    """The addresses and ports that a health check connects to; none where it looks at the host itself."""
    if check["type"] == "redis_cluster":
        return [split_address(node) for node in check["nodes"]]
    if check["type"] in ("http", "websocket"):
        target = urlsplit("//" + check["connect_to"] if "connect_to" in check else check["url"])
        return [(target.hostname, target.port)]
    return [(check["host"], check["port"])] if "port" in check else []


def lets_in(topology, source, address, port):
    """Whether the host with that address lets `source` in; over the loopback interface it always does."""
    if source.address == address:
        return True
    target = next(host for host in topology.hosts.values() if host.address == address)
    return policy(firewall_rules(topology, target)).accepts("tcp", ip_address(source.address), port)


@given(fleets, st.booleans(), st.booleans())
def test_whatever_a_fleet_asks_of_itself_gets_in(groups, single, six):
    addresses = {name: {"slipway_address": f"2001:db8::{n}"} for n, name in enumerate(HOSTS, 1)} if six else {}
    used = {name for names in groups.values() for name in names}
    apps = {"shop": {**SHOP, "single_instance": single}, "mailer": {**MAILER, "redis": True}}
    topology = build(inventory(apps, groups, {name: values for name, values in addresses.items() if name in used}))
    for host in topology.hosts.values():
        for check in health_checks(topology, host, "/ca.crt"):
            for address, port in asked_of(check):
                if address in {other.address for other in topology.hosts.values()}:
                    assert lets_in(topology, host, address, port), check
    for edge in topology.members("edge"):
        for app in topology.applications:
            for member in topology.pool(app) if app.is_served else ():
                assert lets_in(topology, edge, member.address, member.port)
    for node in topology.redis.nodes:
        for other in topology.redis.nodes:
            assert lets_in(topology, topology.hosts[other.host], node.address, node.port)
            assert topology.redis.mode == "single" or lets_in(
                topology, topology.hosts[other.host], node.address, node.port + 10000
            )


@given(fleets)
def test_what_is_derived_is_a_firewall(groups):
    topology = build(inventory(groups=groups))
    for host in topology.hosts.values():
        assert findings({"rules": firewall_rules(topology, host)}, Settings()) == ()


@pytest.mark.parametrize("stranger", ["198.51.100.1", "10.0.0.99", "2001:db8::99"])
def test_nobody_else_gets_further_than_the_edge(stranger):
    topology = build(inventory())
    for host in topology.hosts.values():
        rules = policy(firewall_rules(topology, host)).rules
        ports = [port for rule in rules for first, last in rule.ports for port in range(first, last + 1)]
        let_in = [port for port in ports if any(rule.accepts("tcp", ip_address(stranger), port) for rule in rules)]
        assert let_in == ([80, 443] if "edge" in host.groups else [])
