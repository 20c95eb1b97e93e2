"""The preflight filters judge a registered result and tell all findings at once."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.stack.plugins.filter.preflight import FilterModule

FILTERS = FilterModule().filters()
READ: dict[str, Any] = {
    "ansible_facts": {
        "slipway_host": {
            "cores": 1,
            "memory_mb": 512,
            "distribution": "debian",
            "version": "13",
            "filesystems": {"/": {"total_mb": 10000, "free_mb": 1000, "free_percent": 10.0}},
            "listeners": [],
        }
    }
}


def findings(read: dict[str, Any], **options: Any) -> list[tuple[str, str]]:
    found = FILTERS["preflight_findings"](read, "web1", "2.19.3", **options)
    return [(finding["level"], finding["variable"]) for finding in found]


def test_a_read_host_is_judged() -> None:
    assert findings(READ) == [("error", "disk space on /")]
    assert findings(READ, disk_free_percent_min=5, services=["redis"]) == [("warning", "memory")]


@pytest.mark.parametrize(
    ("read", "variable"),
    [({"unreachable": True, "msg": "no route"}, "ansible_host"), ({"failed": True, "msg": "no python"}, "host facts")],
)
def test_a_host_that_was_not_read_is_a_finding(read: dict[str, Any], variable: str) -> None:
    assert findings(read) == [("error", variable)]


def test_an_old_controller_is_a_finding() -> None:
    found = FILTERS["preflight_findings"](READ, "web1", "2.16.1")
    assert found[0]["variable"] == "ansible-core"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ports": [{"port": 80}]}, "purpose"),
        ({"ports": [{"port": "eighty", "purpose": "x", "unit_pattern": "x"}]}, "eighty"),
        ({"minima": {"mysql": {}}}, "preflight_minima"),
    ],
)
def test_bad_options_name_the_host_and_what_is_wrong(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AnsibleFilterError, match="web1") as error:
        findings(READ, **options)
    assert message in str(error.value)


def test_the_message_lists_them_and_refuses_what_is_no_finding() -> None:
    found = FILTERS["preflight_findings"](READ, "web1", "2.19.3")
    assert "ERROR disk space on / on web1" in FILTERS["preflight_message"](found)
    assert FILTERS["preflight_message"]([]) == ""
    with pytest.raises(AnsibleFilterError, match="exactly the keys"):
        FILTERS["preflight_message"]([{"level": "error"}])
