"""Rules as people write them: what is refused, with its place and its value, and what they let in."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.firewall.model import (
    Settings,
    address_of,
    findings,
    networks,
    policy,
    ssh_rule,
)
from hypothesis import given
from hypothesis import strategies as st

WEB = {"name": "web", "sources": ["any"], "protocol": "tcp", "ports": [80, 443]}


def found(*rules, **settings):
    return findings({"firewall_rules": rules}, Settings(**settings), "firewall_")


@pytest.mark.parametrize(
    "rule",
    [
        WEB,
        {"name": "web", "sources": ["any"], "ports": ["80", "8000-8010"]},
        {"name": "v6", "sources": ["2001:db8::1", "2001:db8:1::/48", "192.0.2.1", "0.0.0.0/0"], "ports": [1, 65535]},
        {"name": "vrrp", "sources": ["192.0.2.1"], "protocol": "vrrp"},
        {"name": "vrrp", "sources": ["192.0.2.1"], "protocol": "vrrp", "ports": []},
    ],
)
def test_what_is_right_has_no_findings(rule):
    assert found(rule) == ()


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({**WEB, "name": "Web"}, "firewall_rules[0].name is 'Web'; expected 1 to 63 lower-case letters"),
        ({**WEB, "name": 'a" drop'}, "firewall_rules[0].name is 'a\" drop'"),
        ({**WEB, "name": "web\n"}, "firewall_rules[0].name is 'web\\n'"),
        ({**WEB, "name": "ssh"}, "firewall_rules[0] (ssh).name: 'ssh' is the rule of ssh_port and ssh_sources"),
        ({**WEB, "source": ["any"]}, "firewall_rules[0] (web).source: there is no such key"),
        ({**WEB, "sources": []}, "firewall_rules[0] (web).sources is []; expected a list of addresses"),
        ({**WEB, "sources": "any"}, "firewall_rules[0] (web).sources is 'any'; expected a list"),
        ({**WEB, "sources": ["any", "192.0.2.1"]}, "has 'any' beside others"),
        ({**WEB, "sources": ["app1"]}, "sources has 'app1'; expected an address or a network"),
        ({**WEB, "sources": ["192.0.2.1/33"]}, "sources has '192.0.2.1/33'"),
        ({**WEB, "sources": ["192.0.2.7/24"]}, "an address within a network; write 192.0.2.0/24 or 192.0.2.7"),
        ({**WEB, "sources": [7]}, "sources has 7; expected"),
        ({**WEB, "ports": []}, "ports is []; expected a list, each a port from 1 to 65535"),
        ({**WEB, "ports": [0]}, "ports has 0; expected a port from 1 to 65535"),
        ({**WEB, "ports": [70000]}, "ports has 70000"),
        ({**WEB, "ports": [True]}, "ports has True"),
        ({**WEB, "ports": ["90-80"]}, "ports has '90-80'"),
        ({**WEB, "ports": ["http"]}, "ports has 'http'"),
        ({**WEB, "protocol": "tpc"}, "protocol is 'tpc'; expected one of tcp, udp, sctp, icmp"),
        ({**WEB, "protocol": "esp"}, "ports is [80, 443], but esp has no ports"),
        ("web", "firewall_rules[0] is 'web'; expected a mapping"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_its_value(rule, told):
    (finding,) = found(rule)
    assert told in finding


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"ssh_port": 0}, "firewall_ssh_port is 0; expected a port from 1 to 65535"),
        ({"ssh_port": "22-23"}, "firewall_ssh_port is '22-23'"),
        ({"ssh_sources": []}, "firewall_ssh_sources is []"),
        ({"ssh_sources": ["192.0.2.1/8"]}, "firewall_ssh_sources has '192.0.2.1/8'"),
        ({"confirm_seconds": 9}, "firewall_confirm_seconds is 9; expected a number from 10 to 3600"),
        ({"confirm_seconds": "30 secs"}, "firewall_confirm_seconds is '30 secs'"),
        ({"log_per_minute": 0}, "firewall_log_per_minute is 0; expected a number from 1 to 10000"),
    ],
)
def test_wrong_settings_are_told_by_the_name_of_their_variable(settings, told):
    (finding,) = found(WEB, **settings)
    assert told in finding


def test_numbers_given_on_a_command_line_are_texts():
    assert found(WEB, ssh_port="22", confirm_seconds="60", log_per_minute="5") == ()


def test_a_name_is_one_rules_in_all_lists():
    (finding,) = findings({"rules": [WEB], "extra_rules": [WEB]}, Settings())
    assert finding.startswith("rules and extra_rules: the name 'web' is used 2 times")


def test_what_is_no_list_of_rules():
    assert findings({"rules": {"web": 80}}, Settings()) == ("rules is {'web': 80}; expected a list of rules",)


@pytest.mark.parametrize(
    ("protocol", "source", "port", "let_in"),
    [
        ("tcp", "192.0.2.7", 3000, True),
        ("tcp", "192.0.2.7", 3010, True),
        ("tcp", "192.0.2.7", 3011, False),
        ("udp", "192.0.2.7", 3000, False),
        ("tcp", "192.0.3.7", 3000, False),
        ("tcp", "2001:db8::7", 3000, True),
        ("tcp", "2001:db9::7", 3000, False),
        ("vrrp", "203.0.113.1", None, True),
        ("tcp", "203.0.113.1", 22, True),
    ],
)
def test_what_rules_let_in(protocol, source, port, let_in):
    rules = policy(
        [
            ssh_rule(22, ["any"]),
            {"name": "app", "sources": ["192.0.2.0/24", "2001:db8::/32"], "ports": ["3000-3005", "3004-3010"]},
            {"name": "vrrp", "sources": ["203.0.113.1"], "protocol": "vrrp"},
        ]
    )
    assert rules.accepts(protocol, ip_address(source), port) is let_in


@pytest.mark.parametrize(
    ("text", "address"),
    [("192.0.2.1", "192.0.2.1"), ("fe80::1%eth0", "fe80::1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("::1", "::1")],
)
def test_addresses_as_ssh_tells_them(text, address):
    assert address_of(text) == ip_address(address)


v4 = st.ip_addresses(v=4)
prefixes = st.builds(lambda address, bits: ip_network((address, bits), strict=False), v4, st.integers(0, 32))


@given(st.lists(prefixes, max_size=8), v4)
def test_joined_networks_hold_the_same_addresses(given_networks, address):
    joined = networks(map(str, given_networks))
    assert any(address in network for network in joined) == any(address in network for network in given_networks)
    assert not any(a.overlaps(b) for a in joined for b in joined if a is not b)


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(0, 20)), min_size=1, max_size=8), st.integers(1, 230))
def test_joined_ports_hold_the_same_ports(spans, port):
    texts = [f"{first}-{first + more}" for first, more in spans]
    (rule,) = policy([{"name": "a", "sources": ["any"], "ports": texts}]).rules
    assert rule.accepts("tcp", ip_address("192.0.2.1"), port) == any(first <= port <= first + m for first, m in spans)
    assert all(after[0] > before[1] + 1 for before, after in zip(rule.ports, rule.ports[1:]))
