"""Origins: whose pages may use an application."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.nginx.origins import (
    complete_cors,
    cors_findings,
    websocket_origins,
)


@pytest.mark.parametrize(
    ("cors", "told"),
    [
        ({"origins": ["friend.example"]}, "cors.origins[0]: 'friend.example'; expected an origin as browsers send it"),
        ({"origins": ["https://friend.example/"]}, "cors.origins[0]"),
        ({"origins": ["https://Friend.example"]}, "in lower case"),
        ({"origins": ["https://*.friend.example"]}, "cors.origins[0]"),
        ({"origins": ['https://a"; }']}, "cors.origins[0]"),
        ({"origins": "*"}, "cors.origins: '*'; expected a list"),
        ({"origins": ["*"], "credentials": True}, "name the origins, or leave credentials false"),
        ({"headers": ["a b"]}, "cors.headers[0]: 'a b'"),
        ({"methods": ["put"]}, "cors.methods[0]: 'put'"),
        ({"max_age_seconds": 100000}, "from 0 to 86400"),
        ({"origin": []}, "cors.origin: is not an option; write origins"),
    ],
)
def test_rules_are_refused_by_the_option_that_is_wrong(cors, told):
    found = list(cors_findings("cors", cors))
    assert len(found) == 1
    assert told in found[0]


@pytest.mark.parametrize("origin", ["https://a.example", "http://localhost:5173", "https://[2001:db8::1]:8443", "*"])
def test_origins_as_browsers_send_them_are_taken(origin):
    assert list(cors_findings("cors", {"origins": [origin]})) == []


def test_any_origin_is_told_apart():
    assert complete_cors({"origins": ["*"]})["any"] is True
    assert complete_cors({})["any"] is False
    assert complete_cors({})["preflight"][2] == {
        "name": "Access-Control-Max-Age",
        "value": '"7200"',
        "variable": "cors_max_age",
    }


def test_pages_of_own_names_and_of_friends_may_open_websockets():
    application = {
        "server_names": ["shop.example", "*.shop.example", "[2001:db8::1]"],
        "websocket_origins": ["https://friend.example"],
    }
    assert websocket_origins(application, 443) == [
        '"https://shop.example"',
        r'"~^https://[a-z0-9._-]+\\.shop\\.example(?::443)?\\z"',
        '"https://[2001:db8::1]"',
        '"https://friend.example"',
    ]
    assert websocket_origins({**application, "server_names": ["shop.example"]}, 8443) == [
        '"https://shop.example"',
        '"https://shop.example:8443"',
        '"https://friend.example"',
    ]
