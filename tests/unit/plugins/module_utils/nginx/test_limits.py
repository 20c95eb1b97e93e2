"""Limits of the edge: what is refused, and what nginx and Lua are told."""

from __future__ import annotations

import base64
import json
import re

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.nginx.limits import (
    BUILT_IN,
    application_findings,
    bucket_wait_seconds,
    complete,
    findings,
    key_findings,
    merged,
)
from hypothesis import given
from hypothesis import strategies as st

API = {"requests": 100, "seconds": 60, "burst": 20}
VISITS = {
    "kind": "window",
    "by": "user",
    "requests": 20,
    "seconds": 900,
    "tiers": {"Super_Admin": 1000, "customer": 20, "anonymous": 10},
}
ANSWERS = {"source": "response_header", "credential_cookie": "session"}
TOKENS = {"source": "token", "algorithm": "HS256"}
SECRET = "a-secret-of-32-characters-or-more"
RSA = bytes.fromhex("30820122300d06092a864886f70d01010105000382010f00") + bytes(270)
P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + bytes(65)


def pem(data: bytes, label: str = "PUBLIC KEY") -> str:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(data).decode()}-----END {label}-----\n"


def location(*limits: str, kind: str = "http") -> dict:
    return {"path": "/", "kind": kind, "limits": list(limits)}


def application(*limits: str, **options: object) -> dict:
    return {"name": "shop", "connections_max": 50, "locations": [location(*limits)], **options}


def completed(app: dict, limits: dict | None = None, key: str = "") -> dict:
    return complete(app, app["locations"], limits, key)


def directives(app: dict, limits: dict | None = None) -> list[str]:
    return completed(app, limits)["locations"][0]["limit_directives"]


# What is refused -------------------------------------------------------------------------------------------------


def test_what_is_built_in_is_good():
    assert list(findings("nginx_limits", BUILT_IN, regions=False)) == []
    assert list(findings("nginx_limits", {"visits": VISITS, "api": None}, regions=False)) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"requests": 0}, "x.api.requests: 0; expected a whole number of requests from 1"),
        ({"requests": True}, "x.api.requests: True"),
        ({"requests": "100/min"}, "x.api.requests: '100/min'"),
        ({"requests": None}, "x.api.requests: missing"),
        ({"seconds": 0}, "x.api.seconds: 0; expected a whole number of seconds from 1 to 86400"),
        ({"seconds": None}, "x.api.seconds: missing"),
        ({"burst": -1}, "x.api.burst: -1"),
        ({"request": 5}, "x.api.request: is not an option; write requests"),
        ({"kind": "leaky"}, "x.api.kind: 'leaky'; expected one of bucket, window"),
        ({"by": "cookie"}, "x.api.by: 'cookie'; expected one of address, user"),
        ({"dry_run": "yes"}, "x.api.dry_run: 'yes'; expected true or false"),
        ({"kind": "window"}, "x.api.burst: 20; only buckets have a burst"),
        ({"tiers": {"gold": 5}}, "x.api.tiers: tiers are of users; expected by: user"),
        ({"tiers": {}, "by": "user"}, "x.api.tiers: {}; expected a mapping with at least one entry"),
        ({"tiers": {"a b": 5}, "by": "user"}, "x.api.tiers: 'a b'; expected the name of a tier"),
        ({"tiers": {"gold": 0}, "by": "user"}, "x.api.tiers.gold: 0; expected"),
        ({"tiers": {"gold": 6, "GOLD": 12}, "by": "user"}, "x.api.tiers: gold is given 2 times"),
        (
            {"regions": {"DE": 60}},
            "x.api.regions: this edge has no database of countries; expected nginx_geoip_database",
        ),
        ({"requests": 10, "seconds": 900}, "whole requests a minute or a second: choose such a rate, or kind: window"),
        ({"tiers": {"gold": 1}, "by": "user", "seconds": 900, "requests": 900}, "x.api.tiers.gold: a bucket of 1"),
    ],
)
def test_a_limit_is_refused_by_the_option_that_is_wrong(change, told):
    (found,) = findings("x", {"api": {**API, **change}}, regions=False)
    assert told in found


@pytest.mark.parametrize(
    ("regions", "told"),
    [
        ({"de": 60}, "x.api.regions: 'de'; expected a country's two capital letters"),
        ({"DE": 0}, "x.api.regions.DE: 0"),
        ({"default": 0}, "x.api.regions.default: 0"),
    ],
)
def test_a_region_is_refused_by_its_name(regions, told):
    (found,) = findings("x", {"api": {**API, "regions": regions}}, regions=True)
    assert told in found


def test_regions_are_of_addresses():
    (found,) = findings("x", {"api": {**API, "regions": {"DE": 60}, "by": "user"}}, regions=True)
    assert found == "x.api.regions: regions are of addresses; expected by: address"


@pytest.mark.parametrize("name", ["API", "a b", "connections", "", 'a"', "a-b", 7])
def test_a_limit_has_a_name_that_stands_in_nginx(name):
    (found,) = findings("x", {name: API}, regions=False)
    assert found.startswith(f"x: {name!r} cannot be the name of a limit")


@pytest.mark.parametrize("limits", [[], "api", 5])
def test_limits_are_a_mapping(limits):
    assert list(findings("x", limits, regions=False)) == [f"x: {limits!r}; expected a mapping of names and limits"]
    assert len(list(findings("x", {"api": limits}, regions=False))) == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"limits": {"api": {"requests": 0, "seconds": 60}}}, "apps.shop.limits.api.requests: 0"),
        ({"limits": {"general": None}}, "apps.shop.locations[0].limits: no limit is named 'general'; expected some of"),
        (
            {"limits": {"general": VISITS}},
            "general is by user, but nothing tells whom a request is from; expected apps",
        ),
        ({"locations": [location("api", "api")]}, "apps.shop.locations[0].limits: api is given 2 times"),
        (
            {"locations": [location("api", "general")], "limits": {"api": {**API, "dry_run": True}}},
            "api only try out (dry_run) and others refuse",
        ),
        ({"users": "token"}, "apps.shop.users: 'token'; expected a mapping with source"),
        ({"users": {}}, "apps.shop.users.source: missing"),
        ({"users": {"source": "request_header"}}, "apps.shop.users.source: 'request_header'; expected response_header"),
        ({"users": {"source": "token"}}, "apps.shop.users.algorithm: missing"),
        (
            {"users": {"source": "token", "algorithm": "none"}},
            "apps.shop.users.algorithm: 'none'; expected one of HS256",
        ),
        ({"users": {**TOKENS, "user_header": "X-User"}}, "users.user_header: only users of source response_header"),
        ({"users": {**ANSWERS, "algorithm": "HS256"}}, "apps.shop.users.algorithm: only users of source token have it"),
        ({"users": {**ANSWERS, "user_header": "X User"}}, "apps.shop.users.user_header: 'X User'; expected the name"),
        ({"users": {**ANSWERS, "credential_cookie": "a;b"}}, "apps.shop.users.credential_cookie: 'a;b'"),
        ({"users": {**ANSWERS, "tier_header": "x-user-id"}}, "apps.shop.users.tier_header: 'x-user-id' is user_header"),
        ({"users": {**ANSWERS, "remember_seconds": 0}}, "apps.shop.users.remember_seconds: 0"),
        ({"users": {**TOKENS, "issuer": "$host"}}, "apps.shop.users.issuer: '$host'"),
    ],
)
def test_an_application_is_refused_by_the_option_that_is_wrong(options, told):
    (found,) = application_findings("apps.shop", application("general", **options))
    assert told in found


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"limits": {"general": VISITS}, "users": ANSWERS},
        {"limits": {"general": VISITS}, "users": TOKENS},
        {"limits": {"general": {**API, "dry_run": True}}},
        {"locations": [{"path": "/"}]},
        {"locations": None},
        {"limits": None, "users": None},
    ],
)
def test_good_applications_have_no_findings(options):
    assert list(application_findings("apps.shop", application("general", **options))) == []


def test_locations_may_name_limits_of_the_role():
    app = application("orders")
    assert list(application_findings("shop", app, {"orders": API})) == []
    assert "no limit is named 'orders'" in "".join(application_findings("shop", app))


def test_unreadable_locations_are_left_to_who_judges_them():
    for locations in ("/", [None], [{"limits": "api"}], [{"limits": [{}, 3]}]):
        assert list(application_findings("shop", {"name": "shop", "locations": locations})) == []


@pytest.mark.parametrize(
    ("algorithm", "key", "is_good"),
    [
        ("HS256", SECRET, True),
        ("HS256", f"{SECRET}\n{SECRET}2\n", True),
        ("HS256", "short", False),
        ("HS256", f"{SECRET}\nshort", False),
        ("HS256", "\n", False),
        ("HS256", pem(RSA), False),
        ("RS256", pem(RSA), True),
        ("RS256", pem(RSA) + pem(RSA), True),
        ("RS256", pem(P256), False),
        ("RS256", SECRET, False),
        ("RS256", pem(RSA) + "more", False),
        ("RS256", pem(RSA, "PRIVATE KEY"), False),
        ("RS256", pem(RSA).replace("MII", "M*I"), False),
        ("ES256", pem(P256), True),
        ("ES256", pem(RSA), False),
    ],
)
def test_keys_are_for_their_algorithm_and_are_not_told(algorithm, key, is_good):
    users = {"source": "token", "algorithm": algorithm}
    found = list(key_findings([{"name": "shop", "users": users}], {"shop": key}))
    assert len(found) == (0 if is_good else 1)
    assert key.strip() == "" or key not in "".join(found)


def test_keys_and_applications_go_together():
    users = {"source": "token", "algorithm": "HS256"}
    assert "nginx_token_keys.shop: missing" in "".join(key_findings([{"name": "shop", "users": users}], {}))
    assert "nginx_token_keys.shop: no application" in "".join(key_findings([{"name": "shop"}], {"shop": SECRET}))
    assert "expected a mapping" in "".join(key_findings([], SECRET))


# What nginx is told ----------------------------------------------------------------------------------------------


def test_later_limits_replace_earlier_ones_and_null_removes():
    found = merged({"api": API, "orders": VISITS}, {"orders": {"requests": 5, "seconds": 1}, "general": None})
    assert set(found) == {"api", "auth", "orders"}
    assert (found["api"]["burst"], found["auth"]["requests"]) == (20, BUILT_IN["auth"]["requests"])
    assert (found["orders"]["kind"], found["orders"]["tiers"]) == ("bucket", None)


def test_a_bucket_is_one_zone_and_one_directive():
    whole = completed(application("api", limits={"api": API}))
    assert whole["locations"][0]["limit_directives"] == [
        'set $slipway_buckets "api";',
        "limit_req zone=slipway.shop.api.address burst=20 nodelay;",
        "limit_conn slipway.shop.connections 50;",
    ]
    assert whole["zones"] == [
        {"name": "slipway.shop.api.address", "key": "$slipway_client", "rate": "100r/m", "values": {}}
    ]
    assert whole["bucket_waits"][0]["seconds"] == 1
    assert whole["locations"][0]["follows_answers"] is False


def test_what_only_tries_out_says_so():
    assert "limit_req_dry_run on;" in directives(application("api", limits={"api": {**API, "dry_run": True}}))


@pytest.mark.parametrize("kind", ["health", "static"])
def test_health_and_static_files_have_no_limit(kind):
    assert directives({**application(), "locations": [location(kind=kind)]}) == []
    assert directives(application()) == ["limit_conn slipway.shop.connections 50;"]
    assert directives(application(connections_max=0)) == []


def test_limits_that_were_removed_are_passed_over():
    assert directives(application("general", connections_max=0), {"general": None}) == []


def test_tiers_of_a_bucket_are_zones_of_which_one_counts():
    tiers = {"Gold": 600, "default": 120, "anonymous": 12}
    limit = {"requests": 60, "seconds": 60, "by": "user", "tiers": tiers}
    whole = completed(application("api", limits={"api": limit}, users=ANSWERS))
    zones = {zone["name"].removeprefix("slipway.shop.api.user."): zone for zone in whole["zones"]}
    assert {name: zone["rate"] for name, zone in zones.items()} == {
        "tier.anonymous": "12r/m",
        "tier.default": "2r/s",
        "tier.gold": "10r/s",
        "tiers": "1r/s",
    }
    assert zones["tier.gold"]["values"] == {'"gold"': "$slipway_user"}
    assert zones["tier.default"]["values"] == {'"\\default"': "$slipway_user"}
    assert zones["tiers"]["values"] == {
        "default": "$slipway_user",
        '"anonymous"': '""',
        '"\\default"': '""',
        '"gold"': '""',
    }
    assert len({zone["key"] for zone in whole["zones"]}) == 4
    (wait,) = whole["bucket_waits"]
    assert (wait["seconds"], wait["source"], wait["values"]) == (1, "$slipway_tier", {'"anonymous"': 5})


def test_regions_of_a_bucket_have_a_rest():
    limit = {**API, "seconds": 60, "regions": {"DE": 60, "default": 6}}
    whole = completed(application("api", limits={"api": limit}))
    assert {zone["name"]: zone["rate"] for zone in whole["zones"]} == {
        "slipway.shop.api.address.region.DE": "1r/s",
        "slipway.shop.api.address.regions": "6r/m",
    }
    (wait,) = whole["bucket_waits"]
    assert (wait["seconds"], wait["source"], wait["values"]) == (10, "$slipway_country", {'"DE"': 1})


def test_of_several_buckets_the_longest_wait_is_told():
    limits = {
        "api": API,
        "slow": {"requests": 2, "seconds": 60},
        "tiered": {"requests": 1, "seconds": 60, "by": "user", "tiers": {"gold": 60}},
        "by_country": {"requests": 60, "seconds": 60, "regions": {"DE": 4}},
    }
    app = application("api", "slow", limits=limits)
    assert completed(app)["bucket_waits"][0]["seconds"] == 31
    app = application("tiered", "by_country", limits=limits, users=ANSWERS)
    (wait,) = completed(app)["bucket_waits"]
    assert (wait["seconds"], wait["values"]) == (63, {'"gold"': 16})


def test_windows_are_for_lua_which_then_looks_at_answers():
    whole = completed(application("api", "visits", limits={"visits": VISITS, "unused": VISITS}, users=ANSWERS))
    assert whole["windows"] == {
        "visits": {
            "by": "user",
            "dry_run": False,
            "requests": 20,
            "seconds": 900,
            "tiers": {"super_admin": 1000, "customer": 20, "anonymous": 10},
        }
    }
    assert whole["locations"][0]["windows"] == ["visits"]
    assert whole["locations"][0]["follows_answers"] is True
    assert whole["users"] == {
        "source": "response_header",
        "logged": False,
        "remember_seconds": 300,
        "user_header": "X-User-Id",
        "tier_header": "X-User-Tier",
        "credential_cookie": "session",
        "tiers": ["anonymous", "customer", "super_admin"],
    }


def test_a_changed_key_changes_what_nginx_compares_without_telling_the_key():
    first = completed(application(users=TOKENS), key=SECRET)["users"]
    second = completed(application(users=TOKENS), key=SECRET + "2")["users"]
    assert first["key_digest"] != second["key_digest"]
    assert SECRET not in json.dumps(first)
    assert completed(application(users=TOKENS))["locations"][0]["follows_answers"] is False


@pytest.mark.parametrize(
    ("requests", "seconds", "wait"), [(200, 60, 1), (1, 60, 63), (10, 1, 1), (4, 60, 16), (1, 1, 1), (30, 60, 2)]
)
def test_the_wait_is_that_of_nginx_with_its_rounding(requests, seconds, wait):
    assert bucket_wait_seconds(requests, seconds) == wait


NUMBERS = st.integers(1, 1000)
LIMITS = st.fixed_dictionaries(
    {"requests": NUMBERS, "seconds": st.sampled_from([1, 60])},
    optional={
        "burst": st.integers(0, 100),
        "by": st.just("user"),
        "tiers": st.dictionaries(st.text("aB_.-", max_size=5), NUMBERS, max_size=4),
        "kind": st.sampled_from(["bucket", "window"]),
        "dry_run": st.booleans(),
    },
)


@given(st.dictionaries(st.text("ab_", min_size=1, max_size=4), LIMITS, min_size=1, max_size=4))
def test_whatever_is_accepted_becomes_zones_of_their_own(limits):
    app = application(*limits, limits=limits, users=ANSWERS)
    if any(application_findings("shop", app)):
        return
    whole = completed(app)
    names = [zone["name"] for zone in whole["zones"]]
    assert len(set(names)) == len(names)
    told = "\n".join(directives(app))
    for zone in whole["zones"]:
        assert told.count(f"zone={zone['name']} ") == 1
        assert re.fullmatch(r"[1-9][0-9]*r/[sm]", zone["rate"])
        assert re.fullmatch(r"\$[a-z0-9_]+", zone["key"])
    assert set(whole["windows"]) | {name for name in limits if f"shop.{name}." in told} == set(limits)


@given(st.integers(1, 100000), st.sampled_from([1, 60]))
def test_after_the_wait_a_bucket_has_leaked_one(requests, seconds):
    thousandths = requests * 1000 // seconds
    assert thousandths * bucket_wait_seconds(requests, seconds) >= 1000
