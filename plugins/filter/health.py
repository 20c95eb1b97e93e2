# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters around health checks; the work is done in module_utils/health."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleError, AnsibleFilterError
from ansible_collections.slipway.stack.plugins.module_utils.health.page import BadTemplate, page
from ansible_collections.slipway.stack.plugins.module_utils.health.report import (
    junit,
    merge,
    message,
    table,
    with_passwords,
)
from ansible_collections.slipway.stack.plugins.module_utils.health.verdict import FAIL_ON, Verdict, fails


def _a_report(report: Any) -> Mapping[str, Any]:
    if not isinstance(report, Mapping) or "hosts" not in report or "verdict" not in report:
        raise AnsibleFilterError("expected a report of the filter slipway.stack.health_report")
    return report


def health_secrets(
    checks: Sequence[Mapping[str, Any]],
    database_passwords: Mapping[str, Any] | None = None,
    redis_password: str | None = "",
) -> list[dict[str, Any]]:
    """The checks with the passwords that they need."""
    return with_passwords(checks, database_passwords or {}, redis_password or "")


def health_clock(checks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The checks, those of hosts with the controller's time."""
    return [{**({"controller_epoch": time.time()} if check.get("type") == "host" else {}), **check} for check in checks]


def _apps(hostvars: Mapping[str, Any], hosts: Sequence[str]) -> Any:
    """The applications, which are the same for every host; none where the inventory cannot say them."""
    for host in hosts:
        try:
            return hostvars[host].get("slipway_apps")
        except AnsibleError:
            continue
    return None


def _answer(variables: Mapping[str, Any], register: str) -> Any:
    """What a host answered; where it was not even asked, what an earlier step met."""
    answer = variables.get(register)
    if answer is None or answer.get("skipped"):
        return variables.get(f"{register}_host")
    return answer


def health_report(
    hostvars: Mapping[str, Any],
    hosts: Sequence[str],
    register: str = "slipway_health",
    at: str = "",
    previous: Any = None,
) -> dict[str, Any]:
    """The report over what each host registered."""
    return merge(
        list(hosts),
        {host: _answer(hostvars[host], register) for host in hosts},
        at,
        groups={host: hostvars[host].get("group_names") or () for host in hosts},
        apps=_apps(hostvars, hosts),
        previous=previous,
    )


def health_table(report: Any) -> str:
    """A report as a table."""
    return table(_a_report(report))


def health_message(report: Any) -> str:
    """A report's headline and problems."""
    return message(_a_report(report))


def health_junit(report: Any) -> str:
    """A report as JUnit XML."""
    return junit(_a_report(report))


def health_page(report: Any, template: str) -> str:
    """A report as one HTML page."""
    try:
        return page(template, _a_report(report))
    except BadTemplate as error:
        raise AnsibleFilterError(f"health_page: {error}") from None


def health_fails(verdict: str, fail_on: str = "failed") -> bool:
    """Whether a verdict is bad enough to fail on."""
    try:
        known = Verdict(verdict)
    except ValueError:
        raise AnsibleFilterError(f"{verdict!r} is no verdict; expected healthy, degraded or failed") from None
    if fail_on not in FAIL_ON:
        raise AnsibleFilterError(f"fail_on: expected one of {', '.join(FAIL_ON)}, got {fail_on!r}")
    return fails(known, fail_on)


class FilterModule:
    """The filters around health checks."""

    def filters(self) -> dict[str, Any]:
        return {
            "health_secrets": health_secrets,
            "health_clock": health_clock,
            "health_report": health_report,
            "health_table": health_table,
            "health_message": health_message,
            "health_junit": health_junit,
            "health_page": health_page,
            "health_fails": health_fails,
        }
