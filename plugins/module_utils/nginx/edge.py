# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an edge is told besides its applications: the variables of the role nginx, held to their forms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from . import cdn
from .fields import Field, Fields, each, judge, text, whole

FILE = r"/[A-Za-z0-9._+@/-]+"
_SECONDS = " of seconds"


def _is_address(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(ip_address(value))
    except ValueError:
        return False


def _file(empty_allowed: bool = False) -> Field:
    default = "" if empty_allowed else None
    return text(FILE, "an absolute path without spaces and quotes", default)


FIELDS: Fields = {
    "nginx_certificate": _file(),
    "nginx_certificate_key": _file(),
    "nginx_acme_webroot": _file(),
    "nginx_acme_peers": each(Field("an IP address", _is_address)),
    "nginx_geoip_database": _file(empty_allowed=True),
    "nginx_http_port": whole(1, 65535),
    "nginx_https_port": whole(1, 65535),
    "nginx_hsts_seconds": whole(0, 10**9, unit=_SECONDS),
    "nginx_cdn": Field("a mapping", lambda value: isinstance(value, Mapping), inside=cdn.findings),
    "nginx_log_days": whole(1, 3650, unit=" of days"),
    "nginx_log_max_mb": whole(1, 102400, unit=" of MiB"),
    "nginx_log_files": whole(1, 10000),
    "nginx_cores": whole(0, 1024),
    "nginx_nofile": whole(1024, 1048576),
    "nginx_worker_connections": whole(64, 524288),
    "nginx_upstream_keepalive": whole(1, 10000),
    "nginx_upstream_keepalive_requests": whole(1, 10**9),
    "nginx_upstream_keepalive_timeout_seconds": whole(1, 3600, unit=_SECONDS),
    "nginx_max_fails": whole(0, 10000),
    "nginx_fail_timeout_seconds": whole(1, 86400, unit=_SECONDS),
}
"""Their defaults are the role's, in its ``defaults``."""


def findings(variables: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what an edge cannot be told, one text for each finding, which begins with the variable."""
    found = [told.lstrip(".") for told in judge("", variables, FIELDS)]
    return tuple(found or _together(variables))


def _together(variables: Mapping[str, Any]) -> Iterator[str]:
    http, https = variables["nginx_http_port"], variables["nginx_https_port"]
    if http == https:
        yield f"nginx_http_port and nginx_https_port: both are {http}; expected two ports"
    connections, files = variables["nginx_worker_connections"], variables["nginx_nofile"]
    if connections * 2 > files:
        yield (
            f"nginx_worker_connections: {connections}; expected at most half of nginx_nofile ({files}): raise that or"
            " lower this"
        )
