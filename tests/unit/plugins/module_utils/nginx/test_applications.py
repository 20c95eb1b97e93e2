"""Applications of the edge: what is refused, and what templates get."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.nginx.applications import (
    ascii_name,
    findings,
)
from hypothesis import given
from hypothesis import strategies as st

SHOP = {
    "name": "shop",
    "server_names": ["shop.example"],
    "members": [
        {"name": "app1:3000", "address": "192.0.2.1", "port": 3000},
        {"name": "app2:3000", "address": "192.0.2.2", "port": 3000},
    ],
}


def with_members(*members: dict) -> dict:
    return {**SHOP, "members": list(members)}


def test_a_good_application_has_no_findings():
    assert findings([SHOP]) == ()


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("Shop.Example", "shop.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("*.bücher.example", "*.xn--bcher-kva.example"),
        ("2001:DB8:0::1", "[2001:db8::1]"),
        ("[2001:db8::1]", "[2001:db8::1]"),
        ("192.0.2.1", "192.0.2.1"),
    ],
)
def test_names_become_what_browsers_send(name, sent):
    assert ascii_name(name) == sent


@pytest.mark.parametrize("name", ["", "a b", "shop.example;", "*.*.example", '"', "a..b", "~^(.*)$", "shop.example {"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(ValueError, match="is not a host name"):
        ascii_name(name)
    assert "server_names" in findings([{**SHOP, "server_names": [name]}])[0]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "Shop"}, "expected a lower-case letter"),
        ({"certificate": "/a.crt"}, "certificate_key: it is empty, but certificate is '/a.crt'"),
        ({"certificate_key": "/a.key"}, "certificate: it is empty, but certificate_key is '/a.key'"),
        ({"locations": [{"path": "ws"}]}, "locations[0].path: 'ws'; expected a path that begins with /"),
        (
            {"connect_timeout_seconds": 0},
            "connect_timeout_seconds: 0; expected a whole number of seconds from 1 to 3600",
        ),
        ({"body_max_mb": "8 gigs"}, "'8 gigs'"),
        ({"single_instance": True}, "expected one member"),
        (with_members({"name": "a", "address": "app1", "port": 3000}), "expected an IP address"),
        (with_members({"name": "a", "address": "192.0.2.1", "port": 0}), "1 to 65535"),
        (with_members({"name": "a", "address": "192.0.2.1", "port": 70000}), "1 to 65535"),
        (with_members({"name": "a|b", "address": "192.0.2.1", "port": 3000}), "name 'a|b'"),
        (
            with_members(
                {"name": "a", "address": "::1", "port": 3000}, {"name": "b", "address": "0:0::1", "port": 3000}
            ),
            "2 members have the address and port ::1 port 3000",
        ),
        (
            with_members(
                {"name": "a", "address": "192.0.2.1", "port": 1}, {"name": "a", "address": "192.0.2.1", "port": 2}
            ),
            "2 members have the name a",
        ),
    ],
)
def test_one_application_is_refused_by_the_option_that_is_wrong(change, told):
    found = findings([{**SHOP, **change}])
    assert len(found) == 1
    assert told in found[0]


def test_applications_do_not_take_each_others_names():
    twin = {**SHOP, "server_names": ["SHOP.example"]}
    found = findings([SHOP, twin, {"name": "a"}, {"name": "b"}])
    assert [text for text in found if "2 applications are named 'shop'" in text]
    assert [text for text in found if "server name shop.example is used by shop, shop" in text]
    assert [text for text in found if "a, b have no server_names" in text]
    assert len(found) == 3


@given(st.text(max_size=40))
def test_no_name_that_is_accepted_can_end_a_directive(name):
    try:
        sent = ascii_name(name)
    except ValueError:
        return
    assert not set(sent) & set(" \t\n;{}\"'\\$#")
