"""The CDN before an edge: whom it believes."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.nginx.cdn import complete, findings

PUBLISHED = {"cloudflare": ["192.0.2.0/24"]}


@pytest.mark.parametrize(
    ("cdn", "told"),
    [
        ({"provider": "fastly"}, "nginx_cdn.provider: 'fastly'; expected one of none, cloudflare, custom"),
        ({"provider": "custom"}, "nginx_cdn.ranges: missing"),
        ({"provider": "custom", "ranges": ["0.0.0.0/0"]}, "nginx_cdn.ranges[0]: '0.0.0.0/0'"),
        ({"provider": "custom", "ranges": ["192.0.2.1/24"]}, "no bits set beyond its length"),
        ({"provider": "custom", "ranges": ["192.0.2.0/24;"]}, "nginx_cdn.ranges[0]"),
        ({"provider": "cloudflare", "header": "a b"}, "nginx_cdn.header: 'a b'"),
        ({"ranges": ["192.0.2.0/24"]}, "without a CDN; set nginx_cdn.provider, or remove it"),
        ({"direct_access": "refused"}, "would refuse everybody"),
    ],
)
def test_what_would_believe_or_refuse_everybody_is_refused(cdn, told):
    found = list(findings("nginx_cdn", cdn))
    assert len(found) == 1
    assert told in found[0]


def test_nobody_is_believed_without_a_cdn():
    assert complete({}, PUBLISHED)["ranges"] == []
    assert complete({}, PUBLISHED)["refused"] is False


def test_a_known_provider_brings_its_networks_and_its_header():
    assert complete({"provider": "cloudflare"}, PUBLISHED) == {
        "ranges": ["192.0.2.0/24"],
        "header": "CF-Connecting-IP",
        "refused": False,
        "direct_from": ["127.0.0.0/8", "::1/128"],
    }
    own = {"provider": "custom", "ranges": ["2001:db8::/32"], "direct_access": "refused", "direct_from": ["10.0.0.0/8"]}
    assert complete(own, PUBLISHED) == {
        "ranges": ["2001:db8::/32"],
        "header": "X-Forwarded-For",
        "refused": True,
        "direct_from": ["127.0.0.0/8", "::1/128", "10.0.0.0/8"],
    }
