# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Networks and addresses: nothing that is in use is taken, nothing that a host has is changed."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testbed import network
from testbed.errors import BedError

SUBNET = IPv4Network("172.28.5.0/24")
ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
br-1\t00001CAC\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""


def test_routes_are_read_and_the_default_route_is_left_out() -> None:
    assert network.routed_networks(ROUTES) == [IPv4Network("172.17.0.0/16"), IPv4Network("172.28.0.0/24")]


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ([], "172.28.0.0/24"),
        (["172.28.0.0/24", "172.28.2.0/24"], "172.28.1.0/24"),
        (["172.28.0.0/16"], "172.29.0.0/24"),
        (["172.28.0.128/25"], "172.28.1.0/24"),
        (["10.0.0.0/8", "192.168.0.0/16"], "172.28.0.0/24"),
    ],
)
def test_the_first_free_subnet_is_chosen(taken: list[str], expected: str) -> None:
    assert network.free_subnet(IPv4Network(text) for text in taken) == IPv4Network(expected)


def test_a_full_pool_is_reported() -> None:
    with pytest.raises(BedError, match=r"No free /24 network is left in 172\.28\.0\.0/14"):
        network.free_subnet([IPv4Network("172.16.0.0/12")])


def test_hosts_get_the_lowest_addresses_and_keep_them() -> None:
    first = network.assign_addresses(["a", "b"], SUBNET, {})
    assert first == {"a": "172.28.5.10", "b": "172.28.5.11"}
    assert network.assign_addresses(["c", "b"], SUBNET, {"b": "172.28.5.11"}) == {
        "c": "172.28.5.10",
        "b": "172.28.5.11",
    }


def test_an_address_of_another_subnet_is_not_kept() -> None:
    assert network.assign_addresses(["a"], SUBNET, {"a": "172.28.6.10"}) == {"a": "172.28.5.10"}


@given(
    hosts=st.lists(st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True), unique=True, max_size=241),
    numbers=st.lists(st.integers(10, 250), unique=True, max_size=241),
)
def test_addresses_are_distinct_in_range_and_stable(hosts: list[str], numbers: list[int]) -> None:
    kept = {host: f"172.28.5.{number}" for host, number in zip(hosts, numbers)}
    assigned = network.assign_addresses(hosts, SUBNET, kept)
    assert list(assigned) == hosts
    assert len(set(assigned.values())) == len(hosts)
    assert all(IPv4Address(address) in SUBNET for address in assigned.values())
    assert all(assigned[host] == address for host, address in kept.items())
    assert network.assign_addresses(hosts, SUBNET, assigned) == assigned


def test_a_full_subnet_is_reported() -> None:
    with pytest.raises(BedError, match=r"No free address is left in 172\.28\.5\.0/24 for host h241"):
        network.assign_addresses([f"h{number}" for number in range(242)], SUBNET, {})
