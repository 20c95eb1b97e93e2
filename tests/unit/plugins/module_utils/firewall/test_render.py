"""The script for nft: the whole table and no other, one rule for each that is declared."""

from __future__ import annotations

from ansible_collections.slipway.stack.plugins.module_utils.firewall.model import policy, ssh_rule
from ansible_collections.slipway.stack.plugins.module_utils.firewall.render import restore, script, unit


def lines(*rules, log_per_minute=0):
    return [line.strip() for line in script(policy(rules, log_per_minute)).splitlines()]


def test_the_own_table_is_replaced_in_one_transaction_and_no_other_is_named():
    text = script(policy([ssh_rule(22, ["any"])]))
    assert "flush" not in text
    tables = [line for line in text.splitlines() if "table" in line]
    assert tables == ["table inet slipway", "delete table inet slipway", "table inet slipway {"]


def test_what_no_rule_lets_in_is_dropped_and_counted():
    text = lines()
    assert "type filter hook input priority filter; policy drop;" in text
    assert text[-3:] == ['counter name "dropped" drop', "}", "}"]


def test_sources_of_both_versions_have_a_set_each():
    text = lines({"name": "app", "sources": ["2001:db8::7", "192.0.2.7", "192.0.2.0/30"], "ports": [3001, 3000, 9000]})
    assert 'ip saddr @app_v4 tcp dport { 3000-3001, 9000 } accept comment "app"' in text
    assert 'ip6 saddr @app_v6 tcp dport { 3000-3001, 9000 } accept comment "app"' in text
    assert "192.0.2.0/30," in text
    assert "192.0.2.7 }" in text
    assert "2001:db8::7 }" in text


def test_any_source_has_no_set():
    text = lines(ssh_rule(22, ["any"]))
    assert 'tcp dport { 22 } accept comment "ssh"' in text
    assert not [line for line in text if line.startswith("set ")]


def test_protocols_without_ports_are_told_by_number():
    text = lines(
        {"name": "vrrp", "sources": ["192.0.2.1"], "protocol": "vrrp"},
        {"name": "icmp", "sources": ["any"], "protocol": "icmp"},
    )
    assert 'ip saddr @vrrp_v4 meta l4proto 112 accept comment "vrrp"' in text
    assert 'meta l4proto { 1, 58 } accept comment "icmp"' in text


def test_what_is_dropped_is_logged_only_where_asked_for_and_never_without_a_limit():
    assert not [line for line in lines() if " log " in line]
    assert 'limit rate 7/minute burst 5 packets log prefix "slipway-firewall: "' in lines(log_per_minute=7)


def test_what_is_restored_is_the_table_as_listed_or_none():
    assert restore(None) == "table inet slipway\ndelete table inet slipway\n"
    assert restore("table inet slipway {\n}\n") == restore(None) + "table inet slipway {\n}\n"


def test_the_unit_comes_before_the_network_and_again_after_a_flush_by_others():
    text = unit("/usr/sbin/nft", "/etc/slipway/firewall.nft").splitlines()
    assert "Before=network-pre.target sysinit.target" in text
    assert "ExecStart=/usr/sbin/nft -f /etc/slipway/firewall.nft" in text
    assert "PartOf=nftables.service" in text
    assert not [line for line in text if line.startswith("ExecStop")]
