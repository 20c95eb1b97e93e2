"""Locations of applications: what is refused, and the blocks that nginx gets."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.nginx.locations import (
    HEALTH_PATHS,
    LIMITS,
    complete,
    directories,
    findings,
)
from hypothesis import given
from hypothesis import strategies as st

APPLICATION = {"name": "shop", "kind": "http", "body_max_mb": 10, "read_timeout_seconds": 60}


def blocks(*locations: dict, **options: object) -> dict[str, dict]:
    """Blocks by the text that nginx matches."""
    whole = complete({**APPLICATION, **options, "locations": list(locations)})
    return {match: block for block in whole for match in block["matches"]}


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ({"path": "ws"}, "[0].path: 'ws'; expected a path that begins with /"),
        ({"path": '/ws" { } #'}, "quotes"),
        ({"path": "/a%20b"}, "[0].path: '/a%20b'"),
        ({"path": "/a/../b"}, "[0].path: '/a/../b'"),
        ({"path": "/a\n"}, "[0].path"),
        ({}, "[0].path: missing"),
        ({"path": "/a", "kind": "php"}, "[0].kind: 'php'; expected one of http, api"),
        ({"path": "/a", "kind": "static"}, "[0].directory: missing"),
        ({"path": "/a", "directory": "/srv"}, "[0].directory: '/srv'; only locations of kind static and spa"),
        ({"path": "/a", "kind": "static", "directory": "/srv/../etc"}, "[0].directory: '/srv/../etc'"),
        ({"path": "/a", "kind": "static", "directory": "../../etc"}, "[0].directory: '../../etc'"),
        ({"path": "/a", "kind": "static", "directory": "a;b"}, "[0].directory: 'a;b'"),
        ({"path": "/a", "kind": "spa", "directory": "a", "exact": True}, "[0].exact: true"),
        ({"path": "/a", "kind": "health", "exact": False}, "[0].exact: false"),
        ({"path": "/a", "methods": ["get"]}, "[0].methods[0]: 'get'; expected a method in capitals"),
        ({"path": "/a", "methods": "GET"}, "[0].methods: 'GET'; expected a list"),
        ({"path": "/a", "limits": ["a b"]}, "[0].limits[0]: 'a b'"),
        ({"path": "/a", "cache_seconds": -1}, "[0].cache_seconds: -1"),
        ({"path": "/a", "cache_seconds": True}, "[0].cache_seconds: True"),
        ({"path": "/a", "read_timeout_seconds": 0}, "from 1 to 86400"),
        ({"path": "/a", "snippet": "gzip off }"}, "[0].snippet"),
        ({"path": "/a", "cache_second": 5}, "[0].cache_second: is not an option; write cache_seconds"),
        ("/a", "[0]: '/a'; expected a mapping"),
    ],
)
def test_a_location_is_refused_by_the_option_that_is_wrong(location, told):
    found = list(findings("slipway_apps.shop.locations", [location]))
    assert len(found) == 1
    assert found[0].startswith("slipway_apps.shop.locations[0]")
    assert told in found[0]


def test_a_path_is_given_once():
    (told,) = findings("locations", [{"path": "/ws"}, {"path": "/ws/"}])
    assert told == "locations: the path /ws is given 2 times; give it once"
    assert list(findings("locations", [{"path": "/ws"}, {"path": "/ws", "exact": True}])) == []


def test_an_application_without_locations_has_its_own_kind_and_health_paths():
    assert list(blocks()) == [*(f'= "{path}"' for path in HEALTH_PATHS), '"/"']
    assert blocks()['"/"']["kind"] == "http"
    assert blocks(kind="websocket")['"/"']["part"] == "websocket"
    health = blocks()['= "/livez"']
    assert (health["logged"], health["limits"]) == (False, [])


def test_what_is_given_replaces_what_is_implied():
    found = blocks({"path": "/up", "kind": "health"}, {"path": "/", "kind": "api"})
    assert list(found) == ['= "/up"', '"/"']
    assert (found['"/"']["kind"], found['"/"']["errors"]) == ("api", "json")


def test_a_path_matches_itself_and_what_is_below_it_but_no_longer_word():
    assert list(blocks({"path": "/api/"}))[:2] == ['= "/api"', '"/api/"']


def test_an_exact_path_wins_over_the_same_one_with_all_below():
    found = blocks({"path": "/api", "kind": "api"}, {"path": "/api", "exact": True, "kind": "auth"})
    assert (found['= "/api"']["kind"], found['"/api/"']["kind"]) == ("auth", "api")


def test_options_of_the_application_hold_where_the_location_has_none():
    found = blocks({"path": "/a", "body_max_mb": 0}, {"path": "/b", "read_timeout_seconds": 5})
    assert (found['"/a/"']["body_max_mb"], found['"/a/"']["read_timeout_seconds"]) == (0, 60)
    assert (found['"/b/"']["body_max_mb"], found['"/b/"']["read_timeout_seconds"]) == (10, 5)


def test_files_come_from_the_host_or_from_the_assets_of_releases():
    found = blocks(
        {"path": "/media", "kind": "static", "directory": "/srv/media/"},
        {"path": "/assets", "kind": "static", "directory": "build"},
    )
    assert found['"/media/"']["directory"] == "/srv/media"
    assert found['"/assets/"']["directory"] == "/srv/slipway/assets/shop/files/build"
    assert found['"/assets/"']["cache"] == "public, max-age=31536000, immutable"
    asked = found[found['"/assets/"']["else_asks"]]
    assert (asked["part"], asked["cache"], asked["logged"]) == ("http", "", True)


def test_a_single_page_application_has_its_page_fresh():
    found = blocks({"path": "/", "kind": "spa", "directory": "page", "cache_seconds": 60})
    assert found['"/"']["cache"] == "public, max-age=60"
    for match in ('= "/index.html"', found['"/"']["else_asks"]):
        assert (found[match]["part"], found[match]["cache"]) == ("index", "no-cache")


@pytest.mark.parametrize(
    ("given", "kept"), [([], []), (["GET"], ["GET", "HEAD"]), (["POST"], ["POST"]), (["HEAD", "GET"], ["HEAD", "GET"])]
)
def test_who_may_get_may_ask_for_the_headers(given, kept):
    assert blocks({"path": "/a", "methods": given})['"/a/"']["methods"] == kept


def test_only_directories_that_are_no_releases_are_looked_for():
    locations = [
        {"path": "/a", "kind": "static", "directory": "/srv/b"},
        {"path": "/b", "kind": "static", "directory": "/srv/a"},
        {"path": "/c", "kind": "spa", "directory": "dist"},
        {"path": "/d"},
    ]
    assert directories([{"name": "shop", "locations": locations}, {"name": "board"}]) == ["/srv/a", "/srv/b"]


TEXTS = st.one_of(st.text(max_size=20), st.from_regex(r"/[a-z]{0,5}(/[a-z.]{1,5}){0,2}/?", fullmatch=True))


@given(TEXTS, st.sampled_from(list(LIMITS)), TEXTS)
def test_no_location_that_is_taken_can_end_a_directive(path, kind, directory):
    location = {"path": path, "kind": kind}
    if kind in ("static", "spa"):
        location["directory"] = directory
    if list(findings("locations", [location])):
        return
    for match, block in blocks(location).items():
        assert not set(match.replace('= "', "").replace('"', "")) & set(" \t\r\n;{}'\\$#")
        assert not set(block["directory"] or "") & set(" \t\r\n;{}\"'\\$#")
