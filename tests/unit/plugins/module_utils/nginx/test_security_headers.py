"""Security headers: the role's, the application's, or none."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.nginx.security_headers import DEFAULTS, complete, findings


def values(headers: dict) -> dict[str, str]:
    return {header["name"]: header["value"] for header in complete(headers, 60)}


def test_the_roles_headers_are_sent_unless_the_application_says_otherwise():
    assert list(values({})) == ["Strict-Transport-Security", *DEFAULTS]
    assert values({})["Strict-Transport-Security"] == '"max-age=60"'
    changed = values({"x-frame-options": "DENY", "Referrer-Policy": None, "X-Team": 'a "b"'})
    assert changed["X-Frame-Options"] == '"DENY"'
    assert "Referrer-Policy" not in changed
    assert changed["X-Team"] == r'"a \"b\""'


def test_the_applications_own_word_about_frames_is_the_only_one():
    (policy,) = (header for header in complete({}, 60) if header["name"] == "Content-Security-Policy")
    assert policy["own"] == "$sent_http_content_security_policy$upstream_http_x_frame_options"


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"X Team": "a"}, "headers: 'X Team'; expected the name of a response header"),
        ({"X-Team": "a\r\nSet-Cookie: b"}, "printable ASCII"),
        ({"X-Team": "$host"}, "without $"),
        ({"X-Team": ""}, "headers.X-Team: ''"),
        ({"X-Team": 3}, "headers.X-Team: 3"),
        ({"X-Team": "a", "x-team": "b"}, "headers.x-team: is given as X-Team, too"),
    ],
)
def test_headers_that_would_be_no_headers_are_refused(headers, told):
    found = list(findings("headers", headers))
    assert len(found) == 1
    assert told in found[0]
