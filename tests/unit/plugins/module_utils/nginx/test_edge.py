"""Variables of the role nginx, held to their forms."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.stack.plugins.module_utils.nginx.edge import FIELDS, findings

ROLE = Path(__file__).parents[5] / "roles" / "nginx"


def defaults() -> dict:
    whole = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    return {name: whole[name] for name in FIELDS}


def test_the_roles_defaults_are_good_and_all_are_judged():
    assert findings(defaults()) == ()
    assert yaml.safe_load((ROLE / "vars" / "main.yml").read_text())["__nginx_judged"] == list(FIELDS)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"nginx_certificate": "host.crt"}, "nginx_certificate: 'host.crt'; expected an absolute path"),
        ({"nginx_acme_webroot": "/srv/a b;"}, "nginx_acme_webroot: '/srv/a b;'"),
        ({"nginx_acme_peers": ["edge2"]}, "nginx_acme_peers[0]: 'edge2'; expected an IP address"),
        ({"nginx_http_port": 70000}, "nginx_http_port: 70000; expected a whole number from 1 to 65535"),
        ({"nginx_http_port": 443}, "both are 443; expected two ports"),
        ({"nginx_worker_connections": 40000}, "expected at most half of nginx_nofile (65536)"),
        ({"nginx_log_days": 0}, "nginx_log_days: 0"),
        ({"nginx_cdn": {"provider": "custom"}}, "nginx_cdn.ranges: missing"),
    ],
)
def test_a_variable_is_refused_by_its_name(change, told):
    (found,) = findings({**defaults(), **change})
    assert told in found
