"""Applications of the edge: what is refused, and what templates get."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.nginx.applications import (
    FIELDS,
    ascii_name,
    complete,
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
    twin = {**SHOP, "name": "other", "server_names": ["SHOP.example"]}
    alike = (
        {**SHOP, "name": "my-shop", "server_names": ["a.example"]},
        {**SHOP, "name": "my_shop", "server_names": ["b"]},
    )
    assert findings([SHOP, twin, SHOP, *alike, {"name": "a"}, {"name": "b"}]) == (
        "nginx_applications[1] (other).server_names: 'SHOP.example' is used by shop, too; expected one application",
        "nginx_applications[2] (shop).name: 'shop' is another application's, too; give each its own name",
        "nginx_applications[4] (my_shop).name: 'my_shop' and 'my-shop' differ only in - and _; rename one",
        "nginx_applications[6] (b).server_names: a, b have no server_names; only one application can answer to every"
        " name: give the other server_names",
    )


def test_the_caller_says_how_applications_are_called():
    (told,) = findings([{"name": "shop", "kind": "php"}], lambda _index, name: f"slipway_apps.{name}")
    assert told == "slipway_apps.shop.kind: 'php'; expected one of http, websocket"


def test_templates_get_every_option_and_names_as_browsers_send_them():
    edge = {
        "certificate": "/a.crt",
        "certificate_key": "/a.key",
        "hsts_seconds": 60,
        "https_port": 443,
        "limits": {},
        "token_keys": {},
    }
    (whole,) = complete([{"name": "my-shop", "server_names": ["Bücher.example"], "certificate_key": "/own.key"}], edge)
    assert set(FIELDS) <= set(whole)
    assert (whole["identifier"], whole["server_names"]) == ("my_shop", ["xn--bcher-kva.example"])
    assert (whole["certificate"], whole["certificate_key"]) == ("/a.crt", "/own.key")


@given(st.text(max_size=40))
def test_no_name_that_is_accepted_can_end_a_directive(name):
    try:
        sent = ascii_name(name)
    except ValueError:
        return
    assert not set(sent) & set(" \t\n;{}\"'\\$#")
