"""What a host is refused for, what it is warned of, and what it is not."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.host.preflight import (
    MINIMA,
    Port,
    Wanted,
    controller_findings,
    host_findings,
    minima_with,
    unread_finding,
)
from hypothesis import given
from hypothesis import strategies as st

GOOD: dict[str, Any] = {
    "cores": 4,
    "memory_mb": 7941,
    "distribution": "debian",
    "version": "13",
    "clock_offset_seconds": 0.1,
    "clock_uncertainty_seconds": 0.05,
    "filesystems": {"/": {"total_mb": 48000, "free_mb": 40000, "free_percent": 83.0}},
    "listeners": [
        {"address": "0.0.0.0", "port": 80, "process": "nginx", "unit": "nginx.service"},
        {"address": "::", "port": 80, "process": "nginx", "unit": "nginx.service"},
        {"address": "127.0.0.1", "port": 3000, "process": "node", "unit": "slipway-shop@3000.service"},
        {"address": "127.0.0.1", "port": 9999, "process": None, "unit": None},
    ],
}
SMALL_DISK = {"total_mb": 40000, "free_mb": 36000, "free_percent": 90}
WHOLE = ("edge", "app", "postgresql", "redis")


def told(wanted: Wanted | None = None, **facts: Any) -> list[tuple[str, str, str]]:
    return [(f.level, f.variable, f.received) for f in host_findings("web1", {**GOOD, **facts}, wanted or Wanted())]


def test_the_guides_whole_server_is_fine() -> None:
    assert told(Wanted(services=WHOLE)) == []


def test_the_minima_of_the_four_are_the_guides_whole_server() -> None:
    parts = [MINIMA[service] for service in WHOLE]
    totals = (sum(m.cores for m in parts), sum(m.memory_mb for m in parts), sum(m.disk_mb for m in parts))
    assert totals == (4, 8192, 50 * 1024)


@pytest.mark.parametrize(
    ("distribution", "version", "level"),
    [
        ("debian", "12", None),
        ("debian", "13", None),
        ("ubuntu", "22.04", "warning"),
        ("ubuntu", "24.04", "warning"),
        ("ubuntu", "20.04", "error"),
        ("debian", "11", "error"),
        ("debian", "", "error"),
        ("rocky", "9.4", "error"),
        ("unknown", "", "error"),
    ],
)
def test_systems(distribution: str, version: str, level: str | None) -> None:
    found = told(distribution=distribution, version=version)
    assert [item[:2] for item in found] == ([(level, "distribution")] if level else [])


@pytest.mark.parametrize(
    ("offset", "uncertainty", "refused"),
    [
        (0.0, 0.0, False),
        (1.0, 0.0, False),
        (1.01, 0.0, True),
        (-1.01, 0.0, True),
        (1.5, 0.4, True),
        (1.5, 0.6, False),
        (-90, 0.5, True),
    ],
)
def test_a_clock_is_refused_only_when_it_is_off_for_sure(offset: float, uncertainty: float, refused: bool) -> None:
    found = told(clock_offset_seconds=offset, clock_uncertainty_seconds=uncertainty)
    assert [item[:2] for item in found] == ([("error", "clock")] if refused else [])


def test_a_skewed_clock_tells_its_direction() -> None:
    assert told(clock_offset_seconds=-90.0)[0][2] == "90.0 s behind the controller's (measured within 0.1 s)"
    assert told(clock_offset_seconds=90.0)[0][2].startswith("90.0 s ahead of")


def test_a_clock_that_was_not_compared_is_not_judged() -> None:
    facts = {key: value for key, value in GOOD.items() if not key.startswith("clock")}
    assert host_findings("web1", facts, Wanted()) == ()


def test_each_file_system_the_stack_writes_to_is_looked_at_once() -> None:
    full = {"total_mb": 1000, "free_mb": 199, "free_percent": 19.9}
    fine = {"total_mb": 1000, "free_mb": 200, "free_percent": 20.0}
    found = told(
        Wanted(disk_paths=("/", "/var", "/var/lib", "/srv")), filesystems={"/": fine, "/var": full, "/home": full}
    )
    assert found == [("error", "disk space on /var", "19.9 % free (199 of 1000 MB)")]


@pytest.mark.parametrize(
    ("port", "pattern", "received"),
    [
        (80, "nginx.service", None),
        (3000, "slipway-shop@*.service", None),
        (5432, "postgresql@*.service", None),
        (80, "caddy.service", "port 80, which nginx (nginx.service) listens on at 0.0.0.0"),
        (3000, "slipway-mail@*.service", "port 3000, which node (slipway-shop@3000.service) listens on at 127.0.0.1"),
        (9999, "*.service", "port 9999, which an unknown process (no unit) listens on at 127.0.0.1"),
        (0, "*", "0"),
        (70000, "*", "70000"),
    ],
)
def test_ports(port: int, pattern: str, received: str | None) -> None:
    found = told(Wanted(ports=(Port(port, "nginx_http_port", pattern),)))
    assert found == ([("error", "nginx_http_port", received)] if received else [])


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"cores": 3}, [("warning", "cores", "3 cores")]),
        ({"memory_mb": 7372}, []),
        ({"memory_mb": 7371}, [("warning", "memory", "7371 MB")]),
        (
            {"filesystems": {"/": {"total_mb": 40000, "free_mb": 1, "free_percent": 90}}},
            [("warning", "disk", "40000 MB")],
        ),
    ],
)
def test_minima_are_warned_of(facts: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    assert told(Wanted(services=WHOLE), **facts) == expected


def test_minima_may_be_replaced_in_part() -> None:
    minima = minima_with({"redis": {"memory_mb": "100"}})
    assert (minima["redis"].memory_mb, minima["redis"].cores) == (100, MINIMA["redis"].cores)
    assert minima["edge"] == MINIMA["edge"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"mysql": {}}, "'mysql' is not one of"),
        ({"redis": {"ram": 1}}, r"preflight_minima\.redis: 'ram'"),
        ({"redis": {"memory_mb": "2 GB"}}, "'2 GB'"),
    ],
)
def test_bad_minima_are_refused_by_name(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        minima_with(overrides)


@pytest.mark.parametrize(
    ("version", "refused"),
    [("2.19.0", False), ("2.19.0rc1", False), ("2.21.3", False), ("3.0", False), ("2.18.9", True), ("2.9.27", True)],
)
def test_an_old_ansible_core_is_refused(version: str, refused: bool) -> None:
    findings = controller_findings(version)
    assert bool(findings) is refused
    assert all(
        (finding.variable, finding.received, finding.host) == ("ansible-core", version, "") for finding in findings
    )


def test_a_host_that_cannot_be_reached_or_read_is_a_finding() -> None:
    unreachable = unread_finding("web1", True, "Task failed: \nno route to host\nmore")
    assert (unreachable.variable, unreachable.received) == ("ansible_host", "unreachable: no route to host")
    unreadable = unread_finding("web1", False, "")
    assert (unreadable.variable, unreadable.received) == ("host facts", "not readable: no answer")
    assert "ansible web1 -b" in unreadable.fix


@given(
    st.fixed_dictionaries(
        {
            "cores": st.integers(1, 64),
            "memory_mb": st.integers(64, 10**6),
            "distribution": st.sampled_from(["debian", "ubuntu", "arch"]),
            "version": st.sampled_from(["12", "22.04", ""]),
            "clock_offset_seconds": st.floats(-1e6, 1e6),
            "clock_uncertainty_seconds": st.floats(0, 100),
        }
    )
)
def test_every_finding_says_all_that_an_operator_needs(facts: dict[str, Any]) -> None:
    for finding in host_findings("web1", {**GOOD, **facts}, Wanted(services=WHOLE)):
        assert finding.host == "web1"
        assert all((finding.variable, finding.received, finding.expected, finding.fix))
