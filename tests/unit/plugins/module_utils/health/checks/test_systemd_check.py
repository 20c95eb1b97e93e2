# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Units of systemd."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.checks.systemd import (
    Exit,
    History,
    Restart,
    SystemdCheck,
    UnitState,
    history_of,
)
from ansible_collections.slipway.stack.plugins.module_utils.health.control_group import Use
from ansible_collections.slipway.stack.plugins.module_utils.health.journal import (
    KILLED_FOR_MEMORY,
    PROCESS_EXIT,
    RESTART_SCHEDULED,
    UNIT_ENDED_WELL,
    UNIT_FAILED,
    Entry,
)
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
    "ExecMainCode": "0",
    "ExecMainStatus": "0",
    "MemoryMax": "1000000000",
    "TasksCurrent": "5",
    "TasksMax": "100",
    "NeedDaemonReload": "no",
}
NOW = 50000.0
FAILED = {"ActiveState": "failed", "SubState": "failed", "Result": "exit-code", "ExecMainCode": "1"}
RESTARTING = {**FAILED, "ActiveState": "activating", "SubState": "auto-restart"}
KILLED = {**FAILED, "Result": "signal", "ExecMainCode": "2"}


@pytest.mark.parametrize(
    ("options", "change", "status", "words"),
    [
        ({}, {}, OK, "active (running) for 100 s"),
        ({}, {"ActiveState": "reloading"}, OK, "reloading"),
        ({}, {"ActiveState": "inactive", "SubState": "dead"}, CRITICAL, "a.service is inactive (dead)"),
        ({}, {"LoadState": "not-found", "ActiveState": "inactive"}, CRITICAL, "there is no unit a.service"),
        ({"active": False}, {}, CRITICAL, "is active"),
        ({"active": False}, {"ActiveState": "inactive"}, OK, ""),
        ({"active": False}, FAILED, OK, ""),
        ({"active": False}, {"LoadState": "not-found", "ActiveState": "inactive"}, OK, ""),
        ({}, {"NRestarts": "", "ActiveEnterTimestampMonotonic": "", "MemoryMax": "infinity"}, OK, ""),
        ({}, {**FAILED, "ExecMainStatus": "1"}, CRITICAL, "a.service is failed (failed): it ended with status 1"),
        ({}, {**RESTARTING, "ExecMainStatus": "7"}, CRITICAL, "activating (auto-restart): it ended with status 7"),
        ({}, {**FAILED, "ExecMainStatus": "203"}, CRITICAL, "its program cannot be started (203/EXEC)"),
        ({}, {**KILLED, "ExecMainStatus": "11"}, CRITICAL, "it was killed by signal 11 (SIGSEGV)"),
        ({}, {**KILLED, "Result": "core-dump", "ExecMainCode": "3", "ExecMainStatus": "6"}, CRITICAL, "(SIGABRT)"),
        ({}, {**KILLED, "Result": "oom-kill", "ExecMainStatus": "9"}, CRITICAL, "want of memory (its limit is 1.0 GB)"),
        (
            {},
            {**KILLED, "Result": "oom-kill", "ExecMainStatus": "9", "MemoryMax": "infinity"},
            CRITICAL,
            "want of memory (it has no limit of its own)",
        ),
        ({}, {**KILLED, "ExecMainStatus": "9"}, CRITICAL, "it was killed by signal 9 (SIGKILL)"),
        ({}, {**FAILED, "Result": "timeout", "ExecMainCode": "2"}, CRITICAL, "it did not start or stop in time"),
        ({}, {**FAILED, "Result": "watchdog"}, CRITICAL, "it did not report to the watchdog in time"),
        ({}, {**FAILED, "Result": "start-limit-hit"}, CRITICAL, "it failed too often in a row"),
        ({}, {**FAILED, "Result": "resources"}, CRITICAL, "the system could not give it what it needs"),
        ({}, {**FAILED, "Result": "new-word"}, CRITICAL, "systemd says new-word"),
        ({}, {"NeedDaemonReload": "yes"}, WARNING, "the files of a.service were changed since systemd read them"),
        ({}, {"TasksCurrent": "80"}, WARNING, "a.service has 80 of 100 processes"),
        ({}, {"TasksCurrent": "95"}, CRITICAL, "a.service has 95 of 100 processes"),
        ({}, {"TasksCurrent": "[not set]", "TasksMax": "18446744073709551615"}, OK, ""),
        ({"tasks_warn_percent": 1, "tasks_crit_percent": 0}, {}, WARNING, "processes"),
    ],
)
def test_judges_a_unit(
    make_check: Callable[..., Any], options: dict[str, Any], change: dict[str, str], status: Status, words: str
) -> None:
    state = UnitState({**ACTIVE, **change}, NOW, 1000.0)
    outcome = make_check(type="systemd", unit="a.service", **options).judge_unit(state)
    assert outcome.status is status
    assert words in outcome.message
    if status is not OK:
        assert "a.service" in outcome.next_step or "playbook" in outcome.next_step


@pytest.mark.parametrize(
    ("options", "memory", "change", "status", "words"),
    [
        ({}, Use(7e8, 1e9), {}, OK, ""),
        ({}, Use(8e8, 1e9), {}, WARNING, "a.service uses 80 % of its memory limit of 1.0 GB"),
        ({}, Use(9.5e8, 1e9), {}, CRITICAL, "a.service uses 95 % of its memory limit"),
        ({}, Use(9.5e8, 0), {"MemoryMax": "infinity"}, OK, ""),
        ({}, None, {}, OK, ""),
        ({"memory_crit_percent": 0}, Use(9.5e8, 1e9), {}, WARNING, "95 %"),
        ({"memory_warn_percent": 0, "memory_crit_percent": 0}, Use(9.5e8, 1e9), {}, OK, ""),
    ],
)
def test_judges_the_memory_of_a_unit(
    make_check: Callable[..., Any],
    options: dict[str, Any],
    memory: Use | None,
    change: dict[str, str],
    status: Status,
    words: str,
) -> None:
    state = UnitState({**ACTIVE, **change}, NOW, 1000.0, memory)
    outcome = make_check(type="systemd", unit="a.service", **options).judge_unit(state)
    assert outcome.status is status
    assert words in outcome.message
    assert ("memory" in outcome.next_step) == (status is not OK)


ERROR = Exit("exit-code", "exited", 1)
OOM = Exit("oom-kill", "killed", 9)
HARD = Exit("signal", "killed", 9)


def restarts(*ends: Exit, ago: float = 30, apart: float = 10) -> History:
    """Restarts after these ends, the last one ``ago`` seconds ago."""
    return History(tuple(Restart(NOW - ago - apart * (len(ends) - 1 - n), end) for n, end in enumerate(ends)))


@pytest.mark.parametrize(
    ("options", "state", "status", "words"),
    [
        ({}, {"history": restarts(ERROR)}, OK, ""),
        (
            {},
            {"history": restarts(ERROR, ERROR)},
            WARNING,
            "a.service was restarted 2 times in 600 s, the last time 30 s ago: it ended with status 1",
        ),
        ({}, {"history": restarts(*[ERROR] * 5)}, CRITICAL, "restarted 5 times"),
        ({"restarts_warn": 1}, {"history": restarts(ERROR)}, WARNING, "restarted 1 times"),
        ({"restarts_warn": 0, "restarts_crit": 0}, {"history": restarts(*[ERROR] * 9)}, OK, ""),
        ({}, {"history": restarts(ERROR, ERROR, ago=601)}, OK, ""),
        ({}, {"history": restarts(ERROR, ERROR, ago=595)}, OK, ""),
        ({"restarts_window_seconds": 20}, {"history": restarts(ERROR, ERROR, ago=15)}, OK, ""),
        ({}, {"history": restarts(OOM)}, WARNING, "a process of a.service was killed for want of memory 30 s ago"),
        ({}, {"history": restarts(OOM)}, WARNING, "(its limit is 1.0 GB)"),
        ({"oom_window_seconds": 20}, {"history": restarts(OOM)}, OK, ""),
        ({"oom_window_seconds": 0}, {"history": restarts(OOM)}, OK, ""),
        ({}, {"history": restarts(OOM, OOM)}, WARNING, "30 s ago: it was killed for want of memory"),
        ({}, {"history": restarts(OOM, ERROR)}, WARNING, "it ended with status 1; a process of a.service was killed"),
        # Version 2 would have said so.
        ({}, {"history": restarts(HARD)}, OK, ""),
        ({}, {"history": restarts(HARD), "version_1": True}, WARNING, "killed by SIGKILL, usually for want of memory"),
        ({}, {"history": restarts(HARD, HARD), "version_1": True}, WARNING, "usually the kernel's for want of memory"),
        ({}, {"history": History(killed_at=NOW - 5), "kills": 1}, WARNING, "for want of memory 5 s ago"),
        ({}, {"kills": 1, "version_1": True}, WARNING, "for want of memory 100 s ago"),
        ({"oom_window_seconds": 60}, {"kills": 1, "version_1": True}, OK, ""),
    ],
)
def test_judges_what_happened_lately(
    make_check: Callable[..., Any], options: dict[str, Any], state: dict[str, Any], status: Status, words: str
) -> None:
    outcome = make_check(type="systemd", unit="a.service", **options).judge_unit(
        UnitState(ACTIVE, NOW, 1000.0, Use(1e8, 1e9), **state)
    )
    assert outcome.status is status
    assert words in outcome.message
    if status is not OK:
        assert "journalctl -u a.service" in outcome.next_step


def entry(at: float, message_id: str, **fields: str) -> Entry:
    return Entry(at, message_id, "a.service", fields)


def test_a_restart_has_the_end_before_it() -> None:
    found = [
        entry(1, KILLED_FOR_MEMORY[0]),
        entry(1, PROCESS_EXIT, EXIT_CODE="killed", EXIT_STATUS="9"),
        entry(1, UNIT_FAILED, UNIT_RESULT="oom-kill"),
        entry(5, RESTART_SCHEDULED),
        entry(6, PROCESS_EXIT, EXIT_CODE="exited", EXIT_STATUS="3"),
        entry(6, UNIT_FAILED, UNIT_RESULT="exit-code"),
        entry(7, RESTART_SCHEDULED),
        entry(8, UNIT_ENDED_WELL),
        entry(9, RESTART_SCHEDULED),
        entry(10, PROCESS_EXIT, EXIT_CODE="killed", EXIT_STATUS="x"),
    ]
    everything = (Restart(5, OOM), Restart(7, Exit("exit-code", "exited", 3)), Restart(9, Exit("success")))
    assert history_of(found, 9) == History(everything, 1)
    # A start by hand begins a new count.
    assert history_of(found, 1) == History(everything[2:], 1)
    assert history_of(found, 0).restarts == ()
    assert history_of([], 3) == History()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"unit": "a b"}, "is no unit's name"),
        ({"unit": "-a"}, "starts with a dash"),
        ({"unit": "a.service", "ignore": ["b"]}, "ignore goes without unit"),
        ({"restarts_warn": 9}, "restarts_warn (9) is above restarts_crit (5)"),
        ({"memory_warn_percent": 99}, "memory_warn_percent (99) is above memory_crit_percent (95)"),
    ],
)
def test_refuses(options: dict[str, Any], words: str) -> None:
    assert words in SystemdCheck(**options).problems()[0]


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


class Unit:
    """What systemctl, the journal and the kernel say of a unit."""

    def __init__(self, properties: dict[str, str], files: dict[str, str], journal: str = "") -> None:
        self.properties, self.files, self.journal = properties, files, journal
        self.asked: list[list[str]] = []

    def tools(self) -> Tools:
        return Tools(run=self.run, read=self.files.get, now=lambda: NOW, clock=lambda: 1000.0)

    def run(self, argv: Sequence[str], timeout: float) -> Completed:
        self.asked.append(list(argv))
        text = "\n".join(f"{key}={value}" for key, value in {**ACTIVE, **self.properties}.items())
        return Completed(0, text if argv[0] == "systemctl" else self.journal, "")


GROUP = "/system.slice/a.service"
VERSION_2 = {
    f"/sys/fs/cgroup{GROUP}/memory.current": "850000000",
    f"/sys/fs/cgroup{GROUP}/memory.max": "1000000000",
    f"/sys/fs/cgroup{GROUP}/memory.stat": "inactive_file 50000000\n",
    f"/sys/fs/cgroup{GROUP}/memory.events": "oom_kill 0\n",
}
KILL_ENTRIES = "\n".join(
    json.dumps({"__REALTIME_TIMESTAMP": str(at * 1000000), "MESSAGE_ID": message_id, **fields})
    for at, message_id, fields in (
        (49900, PROCESS_EXIT, {"EXIT_CODE": "killed", "EXIT_STATUS": "9"}),
        (49900, UNIT_FAILED, {"UNIT_RESULT": "signal"}),
        (49904, RESTART_SCHEDULED, {}),
    )
)


def test_asks_once_where_nothing_happened(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    unit = Unit({"ControlGroup": GROUP}, VERSION_2)
    outcome = look(make_check(type="systemd", unit="slipway-shop@3000.service"), unit.tools())
    assert outcome.status is WARNING
    assert outcome.measures == {
        "restarts": 0,
        "active_seconds": 100,
        "memory_bytes": 8e8,
        "memory_percent": 80.0,
    }
    assert len(unit.asked) == 1
    assert unit.asked[0][-1] == "slipway-shop@3000.service"


def test_asks_the_journal_where_something_happened(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    files = {"/sys/fs/cgroup/memory/memory.usage_in_bytes": "1"}
    unit = Unit({"ControlGroup": GROUP, "NRestarts": "1"}, files, KILL_ENTRIES)
    outcome = look(make_check(type="systemd", unit="a.service"), unit.tools())
    assert outcome.status is WARNING
    assert "SIGKILL, usually for want of memory, 96 s ago (its limit is 1.0 GB)" in outcome.message
    assert [argv[0] for argv in unit.asked] == ["systemctl", "journalctl"]
    assert "UNIT=a.service" in unit.asked[1]
    assert "--since=@49400" in unit.asked[1]


def test_asks_the_journal_where_a_child_was_killed(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    journal = '{"__REALTIME_TIMESTAMP":"49990000000","MESSAGE_ID":"fe6faa94e7774663a0da52717891d8ef"}\n'
    files = {**VERSION_2, f"/sys/fs/cgroup{GROUP}/memory.events": "oom_kill 1\n"}
    unit = Unit({"ControlGroup": GROUP, "MemoryMax": "4000000000"}, files, journal)
    outcome = look(make_check(type="systemd", unit="a.service"), unit.tools())
    assert outcome.status is WARNING
    assert "killed for want of memory 10 s ago" in outcome.message
    assert outcome.measures["oom_kills"] == 1


def test_without_systemd_it_could_not_run(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    tools = Tools(run=lambda argv, timeout: Completed(1, "", "System has not been booted with systemd"))
    with pytest.raises(CouldNotRun, match="not been booted"):
        look(make_check(type="systemd"), tools)
