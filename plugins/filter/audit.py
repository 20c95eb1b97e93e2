# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters around the audit of the production checklists; the work is done in module_utils/audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.stack.plugins.module_utils.audit import judge, report
from ansible_collections.slipway.stack.plugins.module_utils.audit.checklist import ITEMS
from ansible_collections.slipway.stack.plugins.module_utils.audit.evidence import EvidenceError
from ansible_collections.slipway.stack.plugins.module_utils.topology.build import build
from ansible_collections.slipway.stack.plugins.module_utils.topology.model import TopologyError
from ansible_collections.slipway.stack.plugins.plugin_utils.inventory import read_inventory


def _an_audit(audit_result: Any) -> Mapping[str, Any]:
    if not isinstance(audit_result, Mapping) or not {"items", "counts"} <= set(audit_result):
        raise AnsibleFilterError("expected an audit of the filter slipway.stack.audit")
    return audit_result


def audit(
    health_report: Any,
    hostvars: Mapping[str, Any],
    groups: Mapping[str, Sequence[str]],
    host: str,
    today: str,
    evidence: Any = None,
    not_applicable: Any = None,
    guides: Any = None,
) -> dict[str, Any]:
    """Hold the checklists against a report."""
    if not isinstance(health_report, Mapping) or "hosts" not in health_report:
        raise AnsibleFilterError("expected a report of the filter slipway.stack.health_report")
    try:
        day = date.fromisoformat(today)
    except (TypeError, ValueError):
        raise AnsibleFilterError(f"today: {today!r}; expected a date, such as 2026-11-01") from None
    try:
        checklist = judge.chosen(ITEMS, guides)
        # Of a host that could not be reached nothing passes, however many instances it may have.
        topology = build(read_inventory(hostvars, groups, host, unknown_cores=1))
        return judge.judge(checklist, health_report, topology, evidence, not_applicable, day).as_dict()
    except (EvidenceError, TopologyError) as error:
        raise AnsibleFilterError(str(error)) from error


def audit_table(audit_result: Any) -> str:
    """An audit for a terminal."""
    return report.table(_an_audit(audit_result))


def audit_markdown(audit_result: Any, at: str = "") -> str:
    """An audit as a page to hand on."""
    return report.markdown(_an_audit(audit_result), at)


def audit_fails(audit_result: Any, fail_on: str = "failed") -> bool:
    """Whether an audit is bad enough to fail on."""
    try:
        return judge.fails(_an_audit(audit_result)["counts"], fail_on)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters around the audit."""

    def filters(self) -> dict[str, Any]:
        return {
            "audit": audit,
            "audit_table": audit_table,
            "audit_markdown": audit_markdown,
            "audit_fails": audit_fails,
        }
