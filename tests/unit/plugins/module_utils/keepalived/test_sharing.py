"""How edges may share an address, and which interface carries it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.keepalived.sharing import (
    Interface,
    Sharing,
    carrier,
    findings,
    interfaces,
)
from hypothesis import given
from hypothesis import strategies as st

GOOD = Sharing(
    address="192.0.2.10/24",
    interface="",
    own_address="192.0.2.2",
    peers=("192.0.2.3",),
    router_id=51,
    advert_interval_seconds=0.5,
    port=443,
)
GOOD6 = replace(GOOD, address="2001:db8::10/64", own_address="2001:db8::2", peers=("2001:db8::3",))
HOST = interfaces(
    [
        {"ifname": "lo", "addr_info": [{"local": "127.0.0.1"}, {"local": "::1"}]},
        {"ifname": "eth0", "addr_info": [{"local": "192.0.2.2"}, {"local": "2001:db8::2"}]},
        {"ifname": "eth1", "addr_info": [{"local": "198.51.100.2"}]},
        {"ifname": "tun0"},
        {},
    ]
)


def test_what_ip_prints_is_taken():
    assert [interface.name for interface in HOST] == ["lo", "eth0", "eth1", "tun0"]
    assert [str(address) for address in HOST[1].addresses] == ["192.0.2.2", "2001:db8::2"]


@pytest.mark.parametrize(
    "sharing", [GOOD, GOOD6, replace(GOOD, address="203.0.113.9/32"), replace(GOOD, interface="tun0")]
)
def test_what_can_be_shared_has_no_finding(sharing):
    assert list(findings(sharing, HOST)) == []


def test_what_keepalived_put_there_itself_has_no_finding():
    held = (
        *HOST[:1],
        Interface(
            "eth0",
            (*HOST[1].addresses, *interfaces([{"ifname": "x", "addr_info": [{"local": "192.0.2.10"}]}])[0].addresses),
        ),
    )
    assert list(findings(GOOD, held)) == []


@pytest.mark.parametrize(
    ("sharing", "name"),
    [
        (GOOD, "eth0"),
        (GOOD6, "eth0"),
        (replace(GOOD, interface="eth1"), "eth1"),
        (replace(GOOD, interface="eth9"), None),
        (replace(GOOD, own_address="192.0.2.9"), None),
    ],
)
def test_the_interface_is_named_or_the_one_with_the_own_address(sharing, name):
    assert carrier(sharing, HOST) == name


@pytest.mark.parametrize(
    ("change", "variable", "told"),
    [
        ({"address": "192.0.2.10"}, "keepalived_address", "with its prefix length"),
        ({"address": "shop.test/24"}, "keepalived_address", "with its prefix length"),
        ({"address": "192.0.2.10/33"}, "keepalived_address", "with its prefix length"),
        ({"address": "192.0.2.0/24"}, "keepalived_address", "first or last of 192.0.2.0/24"),
        ({"address": "192.0.2.255/24"}, "keepalived_address", "first or last of 192.0.2.0/24"),
        ({"address": "127.0.0.5/8"}, "keepalived_address", "that clients can reach"),
        ({"address": "192.0.2.2/24"}, "keepalived_address", "this one's own"),
        ({"address": "192.0.2.3/24"}, "keepalived_address", "in keepalived_peers"),
        ({"address": "198.51.100.2/24"}, "keepalived_address", "eth1 carries it"),
        ({"own_address": "edge1"}, "keepalived_own_address", "the IP address of this host"),
        ({"own_address": "192.0.2.9"}, "keepalived_own_address", "lo, eth0, eth1, tun0 do not"),
        ({"peers": ()}, "keepalived_peers", "at least one other edge"),
        ({"peers": ("edge2",)}, "keepalived_peers", "names are not looked up"),
        ({"peers": ("192.0.2.3", "192.0.2.2")}, "keepalived_peers", "keepalived_own_address: leave it out"),
        ({"peers": ("192.0.2.3", "192.0.2.3")}, "keepalived_peers", "named 2 times"),
        ({"peers": ("2001:db8::3",)}, "keepalived_peers", "expected IPv4"),
        ({"interface": "eth9"}, "keepalived_interface", "an interface of this host (lo, eth0, eth1, tun0)"),
        ({"router_id": 0}, "keepalived_router_id", "1 to 255"),
        ({"router_id": 256}, "keepalived_router_id", "1 to 255"),
        ({"advert_interval_seconds": 0.01}, "keepalived_advert_interval_seconds", "0.1 to 40"),
        ({"port": 70000}, "keepalived_port", "1 to 65535"),
    ],
)
def test_what_cannot_be_shared_is_named(change, variable, told):
    (finding,) = findings(replace(GOOD, **change), HOST)
    assert finding.startswith(f"{variable}: ")
    assert told in finding


@given(
    st.builds(
        Sharing,
        address=st.text(max_size=20) | st.ip_addresses().map(lambda address: f"{address}/24"),
        interface=st.sampled_from(["", "eth0", "eth9"]),
        own_address=st.text(max_size=20) | st.ip_addresses().map(str),
        peers=st.lists(st.text(max_size=20) | st.ip_addresses().map(str), max_size=3).map(tuple),
        router_id=st.integers(),
        advert_interval_seconds=st.floats(allow_nan=True),
        port=st.integers(),
    )
)
def test_anything_is_judged_without_a_crash_and_what_passes_names_an_interface(sharing):
    if not list(findings(sharing, HOST)):
        assert carrier(sharing, HOST)
        assert 1 <= sharing.router_id <= 255
