# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One report over many hosts."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.report import (
    headline,
    junit,
    merge,
    message,
    table,
    with_passwords,
)


def result(name: str, status: str = "ok", kind: str = "http", **change: Any) -> dict[str, Any]:
    return {
        "name": name,
        "type": kind,
        "part": kind,
        "target": "t",
        "weight": 3,
        "status": status,
        "seen": "seen it",
        "wanted": "wanted it",
        "message": "said it" if status == "ok" else f"{name} is wrong",
        "next_step": "" if status == "ok" else f"repair {name}",
        "measures": {},
        "duration_ms": 12,
        "attempts": 1,
        **change,
    }


def answer(*results: dict[str, Any]) -> dict[str, Any]:
    return {"changed": False, "results": list(results)}


def test_all_well() -> None:
    report = merge(["a", "b"], {"a": answer(result("x")), "b": answer(result("y"))}, "2026-01-01T00:00:00Z")
    assert (report["verdict"], report["score"], report["problems"]) == ("healthy", 100, [])
    assert headline(report) == "healthy, score 100: 2 of 2 checks passed on 2 hosts"
    assert json.loads(json.dumps(report)) == report


@pytest.mark.parametrize(
    ("given", "status", "words"),
    [
        ({"unreachable": True, "msg": "Task failed: no route"}, "critical", "cannot be reached: no route"),
        ({"failed": True, "msg": "The checks are refused"}, "unknown", "did not run: The checks are refused"),
        ({}, "unknown", "was not checked"),
        (None, "unknown", "was not checked"),
    ],
)
def test_a_host_that_is_not_heard_from_has_failed(given: Any, status: str, words: str) -> None:
    report = merge(["a", "b"], {"a": answer(result("x")), "b": given})
    assert report["verdict"] == "failed"
    assert report["score"] < 100
    assert report["hosts"]["b"]["results"][0]["status"] == status
    assert words in report["problems"][0]["message"]
    assert report["problems"][0]["next_step"]


def test_the_message_names_host_check_and_next_step() -> None:
    report = merge(["a"], {"a": answer(result("x", "warning"), result("y", "critical"))})
    lines = message(report).splitlines()
    assert lines[0] == "failed, score 25: 0 of 2 checks passed on 1 host (1 critical, 1 warning)"
    assert lines[1] == "a: critical: y (t): y is wrong. Wanted: wanted it. Next: repair y."
    assert lines[2].startswith("a: warning: x")


def test_the_table_is_aligned_and_folds_open_ports() -> None:
    ports = [result(f"port {number}", kind="tcp", duration_ms=number) for number in range(5)]
    report = merge(
        ["app1", "a"], {"app1": answer(result("x"), *ports, result("z" * 20, "critical")), "a": answer(result("y"))}
    )
    text = table(report)
    lines = text.splitlines()
    assert "5 connections" in text
    assert "port 3" not in text
    states = {line[lines[2].index("STATE") :].split()[0] for line in lines[3:7]}
    assert states == {"ok", "critical"}
    assert lines[-1] == f"  app1: {'z' * 20}: repair {'z' * 20}"
    assert not any(line != line.rstrip() for line in lines)


def test_a_closed_port_has_its_own_line() -> None:
    ports = [result("open 1", kind="tcp"), result("open 2", kind="tcp"), result("shut", "critical", kind="tcp")]
    assert "shut" in table(merge(["a"], {"a": answer(*ports)}))


def test_junit() -> None:
    report = merge(
        ["a", "b"],
        {"a": answer(result("x"), result("w", "warning"), result("c", "critical", message="bad \x00 & <worse>"))},
    )
    root = ElementTree.fromstring(junit(report))
    suites = {suite.get("name"): suite for suite in root}
    assert suites["a"].attrib["tests"] == "3"
    assert suites["a"].attrib["failures"] == "1"
    assert suites["b"].attrib["errors"] == "1"
    assert [len(case) for case in suites["a"]] == [0, 1, 1]


def test_passwords_meet_their_checks() -> None:
    checks = [
        {"type": "postgresql", "user": "owner", "application": "shop"},
        {"type": "postgresql", "application": "shop"},
        {"type": "postgresql", "user": "owner", "password": "own"},
        {"type": "postgresql", "user": "other"},
        {"type": "redis"},
        {"type": "host"},
    ]
    filled = with_passwords(checks, {"owner": "p1", "shop": "p2"}, "r")
    assert [check.get("password") for check in filled] == ["p1", "p2", "own", None, "r", None]
    assert "password" not in with_passwords([{"type": "redis"}], {}, "")[0]
