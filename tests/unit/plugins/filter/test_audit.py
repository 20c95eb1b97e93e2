# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The audit filters take what Ansible hands over, and name what they are not given."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.stack.plugins.filter.audit import FilterModule

FILTERS = FilterModule().filters()
GROUPS = {"all": ["a"], "edge": ["a"], "web": ["a"]}
SHOP = {"group": "web", "port": 3000, "instances": 1, "command": ["shop"]}
REPORT = {"verdict": "failed", "counts": {}, "hosts": {"a": {"results": []}}}


def audit(report: Any = REPORT, today: Any = "2026-11-24", apps: Any = None, **options: Any) -> Any:
    hostvars = {"a": {"ansible_host": "192.0.2.1", "slipway_apps": apps or {"shop": SHOP}}}
    return FILTERS["audit"](report, hostvars, GROUPS, "a", today, **options)


def test_all_guides_or_some() -> None:
    assert len(audit()["items"]) == 58
    assert {item["guide"] for item in audit(guides=["S0", "S3"])["items"]} == {"S0", "S3"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"report": {}}, "health_report"),
        ({"today": "today"}, "expected a date"),
        ({"evidence": {"S9-9": {}}}, "slipway_audit_evidence.S9-9"),
        ({"not_applicable": {"S0-1": ""}}, "slipway_audit_not_applicable.S0-1"),
        ({"guides": ["S9"]}, "slipway_audit_guides"),
    ],
)
def test_what_cannot_be_judged_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=words):
        audit(**options)


def test_forms() -> None:
    result = audit()
    assert "58 items" in FILTERS["audit_table"](result)
    assert FILTERS["audit_markdown"](result, "2026").startswith("# Audit")
    assert FILTERS["audit_fails"](result) is True
    assert FILTERS["audit_fails"](result, "never") is False
    with pytest.raises(AnsibleFilterError, match="slipway_audit_fail_on"):
        FILTERS["audit_fails"](result, "always")
    for name in ("audit_table", "audit_markdown", "audit_fails"):
        with pytest.raises(AnsibleFilterError, match="expected an audit"):
            FILTERS[name]({})
