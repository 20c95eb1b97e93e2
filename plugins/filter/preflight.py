# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the role preflight: plain data in and out, judgement in module_utils/host."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.stack.plugins.module_utils.host.findings import from_mapping, render
from ansible_collections.slipway.stack.plugins.module_utils.host.preflight import (
    Port,
    Wanted,
    controller_findings,
    host_findings,
    minima_with,
    unread_finding,
)


def preflight_findings(
    read: Mapping[str, Any],
    host: str,
    ansible_core: str,
    services: Iterable[str] = (),
    ports: Iterable[Mapping[str, Any]] = (),
    minima: Mapping[str, Any] | None = None,
    disk_paths: Iterable[str] = ("/",),
    disk_free_percent_min: float = 20,
    clock_skew_seconds_max: float = 1,
) -> list[dict[str, str]]:
    facts = (read.get("ansible_facts") or {}).get("slipway_host")
    if not facts:
        message = str(read.get("msg") or read.get("module_stderr") or "")
        return [unread_finding(host, bool(read.get("unreachable")), message).as_dict()]
    try:
        wanted = Wanted(
            services=tuple(services),
            ports=tuple(Port(int(port["port"]), str(port["purpose"]), str(port["unit_pattern"])) for port in ports),
            minima=minima_with(minima or {}),
            disk_paths=tuple(disk_paths),
            disk_free_percent_min=float(disk_free_percent_min),
            clock_skew_seconds_max=float(clock_skew_seconds_max),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"slipway.stack.preflight_findings: {host}: {error}") from error
    findings = (*controller_findings(ansible_core), *host_findings(host, facts, wanted))
    return [finding.as_dict() for finding in findings]


def preflight_message(findings: Iterable[Mapping[str, Any]]) -> str:
    try:
        return render(from_mapping(finding) for finding in findings)
    except ValueError as error:
        raise AnsibleFilterError(f"slipway.stack.preflight_message: {error}") from error


class FilterModule:
    """Filters of slipway.stack for preflight."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"preflight_findings": preflight_findings, "preflight_message": preflight_message}
