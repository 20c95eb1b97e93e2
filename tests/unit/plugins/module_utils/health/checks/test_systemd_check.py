# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Units of systemd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.model import CouldNotRun, Status
from ansible_collections.slipway.stack.plugins.module_utils.health.tools import Completed, Tools

OK, WARNING, CRITICAL = Status.OK, Status.WARNING, Status.CRITICAL
ACTIVE = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "Result": "success",
    "NRestarts": "0",
    "ActiveEnterTimestampMonotonic": "900000000",
}
NOW = 1000.0


@pytest.mark.parametrize(
    ("options", "change", "status", "words"),
    [
        ({}, {}, OK, "active (running) for 100 s"),
        ({}, {"ActiveState": "inactive", "SubState": "dead"}, CRITICAL, "a.service is inactive (dead)"),
        ({}, {"ActiveState": "failed", "SubState": "failed", "Result": "oom-kill"}, CRITICAL, "because of oom-kill"),
        ({}, {"ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code"}, CRITICAL, "exit-code"),
        ({}, {"LoadState": "not-found", "ActiveState": "inactive"}, CRITICAL, "there is no unit a.service"),
        ({}, {"NRestarts": "5"}, OK, ""),
        ({}, {"NRestarts": "5", "ActiveEnterTimestampMonotonic": "990000000"}, WARNING, "restarted 5 times"),
        ({}, {"NRestarts": "1", "ActiveEnterTimestampMonotonic": "990000000"}, OK, ""),
        ({"restarts_warn": 0}, {"NRestarts": "5", "ActiveEnterTimestampMonotonic": "990000000"}, OK, ""),
        ({"active": False}, {}, CRITICAL, "is active"),
        ({"active": False}, {"ActiveState": "inactive"}, OK, ""),
        ({"active": False}, {"LoadState": "not-found", "ActiveState": "inactive"}, OK, ""),
        ({}, {"NRestarts": "", "ActiveEnterTimestampMonotonic": ""}, OK, ""),
    ],
)
def test_judges_a_unit(
    make_check: Callable[..., Any], options: dict[str, Any], change: dict[str, str], status: Status, words: str
) -> None:
    outcome = make_check(type="systemd", unit="a.service", **options).judge_unit({**ACTIVE, **change}, NOW)
    assert outcome.status is status
    assert words in outcome.message
    if status is not OK:
        assert "a.service" in outcome.next_step or "playbook" in outcome.next_step


@pytest.mark.parametrize(
    ("options", "output", "status", "words"),
    [
        ({}, "", OK, "no unit has failed"),
        ({}, "a.service loaded failed failed A\nb.timer loaded failed failed B\n", WARNING, "a.service, b.timer"),
        ({"ignore": ["a.*"]}, "a.service loaded failed failed A\n", OK, ""),
    ],
)
def test_failed_units(
    make_check: Callable[..., Any],
    look: Callable[..., Any],
    options: dict[str, Any],
    output: str,
    status: Status,
    words: str,
) -> None:
    tools = Tools(run=lambda argv, timeout: Completed(0, output, ""))
    outcome = look(make_check(type="systemd", **options), tools)
    assert outcome.status is status
    assert words in outcome.message


def test_asks_systemctl_once(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    asked: list[list[str]] = []

    def run(argv: Sequence[str], timeout: float) -> Completed:
        asked.append(list(argv))
        return Completed(0, "\n".join(f"{key}={value}" for key, value in ACTIVE.items()), "")

    assert look(make_check(type="systemd", unit="slipway-shop@3000.service"), Tools(run=run)).status is OK
    assert len(asked) == 1
    assert asked[0][-1] == "slipway-shop@3000.service"


def test_without_systemd_it_could_not_run(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    tools = Tools(run=lambda argv, timeout: Completed(1, "", "System has not been booted with systemd"))
    with pytest.raises(CouldNotRun, match="not been booted"):
        look(make_check(type="systemd"), tools)
