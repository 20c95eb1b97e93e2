# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the role nginx: judge its applications, and complete them for the templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.stack.plugins.module_utils.nginx import applications, cdn, edge, limits, locations


def _list(filter_name: str, value: object) -> Sequence[Mapping[str, Any]]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(v, Mapping) for v in value):
        raise AnsibleFilterError(f"{filter_name} takes a list of applications, each a dictionary; got {value!r}")
    return value


def nginx_findings(
    value: object,
    common_limits: Mapping[str, Any] | None = None,
    regions: bool = False,
    token_keys: Mapping[str, str] | None = None,
) -> list[str]:
    """What keeps these applications from being served."""
    given = _list("nginx_findings", value)
    found = list(limits.findings("nginx_limits", common_limits or {}, regions))
    found += applications.findings(given, common_limits=common_limits, regions=regions)
    return found + ([] if token_keys is None else list(limits.key_findings(given, token_keys)))


def nginx_applications(value: object, shared: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The applications as the templates take them."""
    try:
        return applications.complete(_list("nginx_applications", value), shared)
    except ValueError as error:
        raise AnsibleFilterError(f"nginx_applications: {error}") from error


def nginx_edge_findings(value: object) -> list[str]:
    """What an edge cannot be told."""
    if not isinstance(value, Mapping):
        raise AnsibleFilterError(f"nginx_edge_findings takes a dictionary; got {value!r}")
    return list(edge.findings(value))


def nginx_directories(value: object) -> list[str]:
    """Directories that these applications need on the host."""
    return locations.directories(_list("nginx_directories", value))


def nginx_cdn(value: object, published: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """What templates need about the CDN before the edge."""
    if not isinstance(value, Mapping):
        raise AnsibleFilterError(f"nginx_cdn takes a dictionary; got {value!r}")
    return cdn.complete(value, published)


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names and functions."""
        return {
            "nginx_applications": nginx_applications,
            "nginx_cdn": nginx_cdn,
            "nginx_directories": nginx_directories,
            "nginx_edge_findings": nginx_edge_findings,
            "nginx_findings": nginx_findings,
        }
