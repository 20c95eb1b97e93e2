"""From an inventory to the topology: endpoints, pools, and who is told what."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.topology.build import build
from ansible_collections.slipway.stack.plugins.module_utils.topology.checks import health_checks
from ansible_collections.slipway.stack.plugins.module_utils.topology.model import TopologyError
from ansible_collections.slipway.stack.plugins.module_utils.topology.view import CA_FILE, host_view
from ansible_collections.slipway.stack.tests.unit.plugins.module_utils.topology.examples import (
    MAILER,
    SHOP,
    inventory,
)
from hypothesis import given
from hypothesis import strategies as st


def test_the_pool_covers_hosts_and_instances():
    topology = build(inventory())
    assert [member.name for member in topology.pool(topology.applications[0])] == [
        "app1:3000",
        "app1:3001",
        "app2:3000",
        "app2:3001",
    ]


def test_a_worker_has_numbers_instead_of_ports_and_no_place_at_the_edge():
    topology = build(inventory())
    assert host_view(topology, "app1")["applications"][1]["instances"] == [1]
    assert [app["name"] for app in host_view(topology, "edge1")["edge"]["applications"]] == ["shop"]


def test_redis_on_three_hosts_is_a_cluster_whose_first_instances_are_on_different_hosts():
    view = host_view(build(inventory()), "data2")
    assert view["redis"]["mode"] == "cluster"
    assert view["redis"]["ports"] == [6379, 6380]
    assert [node["host"] for node in view["redis"]["nodes"][:3]] == ["data1", "data2", "data3"]


def test_redis_on_one_host_is_single():
    topology = build(inventory(groups={"edge": ["one"], "shop": ["one"], "postgresql": ["one"], "redis": ["one"]}))
    assert host_view(topology, "one")["redis"]["mode"] == "single"


def test_only_the_writer_is_told_about_databases_and_only_application_hosts_may_reach_it():
    topology = build(inventory())
    assert host_view(topology, "data2")["postgresql"] is None
    clients = host_view(topology, "data1")["postgresql"]["clients"]
    assert {client["address"] for client in clients} == {"10.0.0.2", "10.0.0.3", "10.0.0.4"}


def test_an_application_is_told_its_endpoints_and_no_secret():
    shop = host_view(build(inventory()), "app1")["applications"][0]
    assert shop["database"] == {
        "name": "shop",
        "user": "shop",
        "writer": "10.0.0.4:5432",
        "reader": "10.0.0.4:5432",
    }
    assert len(shop["redis"]["nodes"]) == 6
    assert "password" not in str(shop)


def test_slipway_address_wins_over_ansible_host():
    topology = build(inventory(host_variables={"app1": {"slipway_address": "192.0.2.9"}}))
    assert topology.hosts["app1"].address == "192.0.2.9"


def test_max_means_one_instance_per_core():
    topology = build(
        inventory(
            {"shop": {**SHOP, "instances": "max"}},
            host_variables={"app1": {"slipway_cores": 3}, "app2": {"slipway_cores": 1}},
        )
    )
    assert [member.name for member in topology.pool(topology.applications[0])] == [
        "app1:3000",
        "app1:3001",
        "app1:3002",
        "app2:3000",
    ]


def test_max_without_cores_names_the_host_and_the_way_out():
    topology = build(inventory({"shop": {**SHOP, "instances": "max"}}))
    with pytest.raises(TopologyError, match=r"slipway_apps\.shop\.instances.*app1.*slipway_cores"):
        topology.pool(topology.applications[0])


def test_a_single_instance_program_is_one_process_in_the_whole_fleet():
    topology = build(inventory({"shop": {**SHOP, "instances": "max", "single_instance": True}}))
    assert [member.name for member in topology.pool(topology.applications[0])] == ["app1:3000"]


def test_its_other_hosts_are_told_nothing_of_a_single_instance_program():
    topology = build(inventory({"shop": {**SHOP, "single_instance": True, "instances": 1}}))
    assert host_view(topology, "app2")["applications"] == []


def test_a_chosen_memory_limit_is_fixed_and_the_default_gives_way():
    topology = build(inventory({"shop": {**SHOP, "memory_limit_mb": 256}, "mailer": MAILER}))
    consumers = host_view(topology, "app1")["memory_consumers"]
    assert [(consumer["app"], consumer["fixed"]) for consumer in consumers] == [("shop", True), ("mailer", False)]


def test_ipv6_addresses_are_bracketed_where_urls_have_them_and_bare_where_pg_hba_has_them():
    topology = build(inventory(host_variables={"data1": {"slipway_address": "fd00::4"}}))
    shop = host_view(topology, "app1")["applications"][0]
    assert shop["database"]["writer"] == "[fd00::4]:5432"
    assert shop["redis"]["nodes"][0] == "[fd00::4]:6379"
    assert "fd00::4" in [client["address"] for client in host_view(topology, "data1")["postgresql"]["clients"]]


def test_the_bus_of_a_cluster_is_among_the_ports():
    assert host_view(build(inventory()), "data2")["ports"] == [6379, 16379, 6380, 16380]


def test_checks_follow_the_edges_own_ports():
    topology = build(inventory(host_variables={"edge1": {"nginx_https_port": 8443}}))
    checks = {check["name"]: check for check in health_checks(topology, topology.hosts["edge1"], CA_FILE)}
    assert checks["certificate"]["port"] == 8443
    assert checks["shop through the edge"]["connect_to"] == "10.0.0.1:8443"
    assert host_view(topology, "edge1")["ports"] == [80, 8443]


def test_everything_on_one_host():
    view = host_view(
        build(inventory(groups={"edge": ["one"], "shop": ["one"], "postgresql": ["one"], "redis": ["one"]})), "one"
    )
    assert view["services"] == ["edge", "postgresql", "redis", "app"]
    assert {consumer["name"] for consumer in view["memory_consumers"]} == {"edge", "postgresql", "redis", "app"}
    assert "shop.example.org" in view["tls_names"]


def test_the_view_of_every_host_has_the_same_keys():
    topology = build(inventory())
    assert len({tuple(host_view(topology, name)) for name in topology.hosts}) == 1


def test_checks_ask_for_each_instance_where_it_runs():
    topology = build(inventory())
    checks = health_checks(topology, topology.hosts["app2"], CA_FILE)
    units = [check["unit"] for check in checks if "instance" in check.get("proves", ())]
    assert units == ["slipway-shop@3000.service", "slipway-shop@3001.service", "slipway-mailer@1.service"]
    logins = {check["name"] for check in checks if check["type"] in ("postgresql", "redis_cluster")}
    assert logins == {"shop to the writer", "shop to the reader", "shop to redis"}


@given(
    instances=st.integers(1, 64),
    hosts=st.integers(1, 20),
    port=st.integers(1024, 60000),
)
def test_a_pool_has_every_member_once(instances, hosts, port):
    names = [f"h{index}" for index in range(hosts)]
    topology = build(inventory({"shop": {**SHOP, "instances": instances, "port": port}}, {"shop": names}))
    members = [(member.host, member.port) for member in topology.pool(topology.applications[0])]
    assert len(members) == len(set(members)) == instances * hosts


EDGES = {"edge": ["edge1", "edge2"], "shop": ["app1"], "postgresql": ["data1"], "redis": ["data1"]}


def test_edges_share_an_address_and_speak_of_it_to_each_other_alone():
    topology = build(inventory(groups=EDGES, slipway_edge_address="10.0.0.100/24"))
    first = host_view(topology, "edge1")
    assert first["keepalived"] == {
        "address": "10.0.0.100/24",
        "own_address": "10.0.0.1",
        "peers": ["10.0.0.2"],
    }
    assert {"name": "vrrp", "sources": ["10.0.0.2"], "protocol": "vrrp", "ports": []} in first["firewall"]
    assert "10.0.0.100" in first["tls_names"]
    assert host_view(topology, "app1")["keepalived"] is None
    assert host_view(build(inventory(groups=EDGES)), "edge1")["keepalived"] is None


def test_what_the_edge_is_told_of_an_application_is_what_the_entry_says():
    entry = {**SHOP, "locations": [{"path": "/assets", "kind": "static", "directory": "public"}], "body_max_mb": 50}
    entry.update(release="r1", artifact="shop.tar.gz", artifact_sha256="0" * 64)
    edge = host_view(build(inventory({"shop": entry})), "edge1")["edge"]
    (served,) = edge["applications"]
    assert (served["body_max_mb"], served["locations"]) == (50, entry["locations"])
    assert "read_timeout_seconds" not in served, "the role has its own defaults"
    assert edge["assets"] == [
        {"name": "shop", "release": "r1", "artifact": "shop.tar.gz", "sha256": "0" * 64, "directories": ["public"]}
    ]


@pytest.mark.parametrize("certificate", ["acme", {"certificate_file": "shop.crt", "key_file": "shop.key"}])
def test_an_application_may_have_a_certificate_of_its_own(certificate):
    topology = build(inventory({"shop": {**SHOP, "certificate": certificate}}, groups=EDGES))
    view = host_view(topology, "edge1")
    (wanted,) = view["certificates"]
    assert wanted["names"] == ["shop.example.org"]
    assert wanted["mode"] == ("acme" if certificate == "acme" else "given")
    assert view["edge"]["applications"][0]["certificate"] == "/etc/slipway/tls/shop.crt"
    assert view["edge"]["acme_peers"] == (["10.0.0.2"] if certificate == "acme" else [])
    assert "shop.example.org" not in view["tls_names"]
    assert host_view(topology, "app1")["certificates"] == []


def test_checks_trust_the_own_authority_for_its_certificates_alone():
    apps = {"shop": SHOP, "blog": {**SHOP, "port": 4000, "server_names": ["blog.example.org"], "certificate": "acme"}}
    topology = build(inventory(apps))
    checks = health_checks(topology, topology.hosts["edge1"], CA_FILE)
    over_tls = [check for check in checks if str(check.get("url", "https")).startswith(("https", "wss"))]
    trusting = {
        check["name"]: "ca_file" in check for check in over_tls if check["type"] in ("tls", "http", "websocket")
    }
    assert trusting["certificate"]
    assert {name for name, trusts in trusting.items() if not trusts} == {name for name in trusting if "blog" in name}
    assert "certificate of blog" in trusting
    assert "certificate of shop" not in trusting
