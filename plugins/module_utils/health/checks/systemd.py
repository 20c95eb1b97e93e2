# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A unit of systemd that has to be active and to stay so, within its limits; or no failed unit at all."""

from __future__ import annotations

import fnmatch
import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..check import Check
from ..control_group import Use, is_version_1, memory_kills, memory_of
from ..journal import (
    KILLED_FOR_MEMORY,
    PROCESS_EXIT,
    RESTART_SCHEDULED,
    UNIT_ENDED_WELL,
    UNIT_FAILED,
    Entry,
    entries,
)
from ..model import CouldNotRun, Finding, Outcome, Status, judged, level
from ..options import option
from ..steps import journal, site
from ..tools import Deadline, Tools
from ..units import human_bytes

_PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "NRestarts",
    "ActiveEnterTimestampMonotonic",
    "ExecMainCode",
    "ExecMainStatus",
    "ControlGroup",
    "MemoryMax",
    "TasksCurrent",
    "TasksMax",
    "NeedDaemonReload",
)
_RUNNING = ("active", "reloading", "refreshing")
# Statuses with which systemd's own process ends when it cannot start the program (systemd.exec(5)).
_NO_START = {
    200: "its working directory is not there (200/CHDIR)",
    203: "its program cannot be started (203/EXEC)",
    209: "its output cannot be opened (209/STDOUT)",
    216: "its group does not exist (216/GROUP)",
    217: "its user does not exist (217/USER)",
    219: "its control group cannot be made (219/CGROUP)",
    226: "its view of the file system cannot be made (226/NAMESPACE)",
    238: "its state directory cannot be made (238/STATE_DIRECTORY)",
}
_KILLED_STEP = "raise its memory limit or find the leak"
_SHOW = "`systemctl cat {unit}`"


@dataclass(frozen=True)
class Exit:
    """How a unit's process ended. ``result`` is systemd's word for it, ``kind`` is exited, killed or dumped."""

    result: str
    kind: str = ""
    status: int = 0

    @property
    def was_killed_hard(self) -> bool:
        """Ended by SIGKILL; in version 1 of control groups that is all that systemd sees of a want of memory."""
        return self.kind in ("killed", "dumped") and self.status == signal.SIGKILL and self.result == "signal"

    def words(self, limit: float, guess: bool) -> tuple[str, str]:
        """What happened in plain words, and what to do besides looking into the log, ``{unit}`` for the unit's name.

        ``guess``: a hard kill is likely for want of memory.
        """
        at_limit = f"its limit is {human_bytes(limit)}" if limit else "it has no limit of its own"
        if self.result == "oom-kill":
            return f"it was killed for want of memory ({at_limit})", _KILLED_STEP
        if guess and limit and self.was_killed_hard:
            return f"it was killed by SIGKILL, which is usually the kernel's for want of memory ({at_limit})", (
                _KILLED_STEP
            )
        if self.kind in ("killed", "dumped") and self.result in ("signal", "core-dump", "exit-code", "success"):
            return f"it was killed by signal {self.status} ({_signal_name(self.status)})", ""
        if self.result == "exit-code" and self.status in _NO_START:
            return _NO_START[self.status], f"repair what the unit names ({_SHOW}), or run {site()}"
        if self.result in ("exit-code", "success") and (self.kind == "exited" or self.status):
            return f"it ended with status {self.status}", ""
        return _RESULTS.get(self.result, (f"systemd says {self.result}", ""))


_RESULTS = {
    "timeout": ("it did not start or stop in time", f"look at its TimeoutStartSec and TimeoutStopSec: {_SHOW}"),
    "watchdog": ("it did not report to the watchdog in time", ""),
    "start-limit-hit": (
        "it failed too often in a row",
        "repair it, then `systemctl reset-failed {unit} && systemctl start {unit}`",
    ),
    "resources": ("the system could not give it what it needs", ""),
    "protocol": ("it did not tell that it is ready", f"look at Type= of the unit: {_SHOW}"),
    "exec-condition": ("its ExecCondition= did not hold", f"look at the condition: {_SHOW}"),
    "success": ("it ended without an error", "start it: `systemctl start {unit}`"),
    "": ("nothing says why", ""),
}
_KINDS = {1: "exited", 2: "killed", 3: "dumped"}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


@dataclass(frozen=True)
class Restart:
    """One restart by systemd itself: when, in seconds since 1970, and after which end."""

    at: float
    after: Exit


@dataclass(frozen=True)
class History:
    """What happened lately: restarts since the last start by hand, and when a process was killed for want of memory."""

    restarts: tuple[Restart, ...] = ()
    killed_at: float | None = None


def history_of(found: Sequence[Entry], count: int) -> History:
    """Read the last ``count`` restarts from a unit's entries, each with the end that came before it."""
    restarts: list[Restart] = []
    killed_at, last = None, Exit("")
    for entry in found:
        if entry.message_id in KILLED_FOR_MEMORY:
            killed_at = entry.at
        elif entry.message_id == PROCESS_EXIT:
            status = entry.fields.get("EXIT_STATUS", "")
            last = Exit("", entry.fields.get("EXIT_CODE", ""), int(status) if status.isdigit() else 0)
        elif entry.message_id in (UNIT_FAILED, UNIT_ENDED_WELL):
            last = Exit(entry.fields.get("UNIT_RESULT", "success"), last.kind, last.status)
        elif entry.message_id == RESTART_SCHEDULED:
            restarts.append(Restart(entry.at, last))
            last = Exit("")
    return History(tuple(restarts[-count:] if count else ()), killed_at)


@dataclass(frozen=True)
class UnitState:
    """What was seen of a unit: systemd's properties, its memory, its history, the times of now.

    ``now`` is in seconds since 1970, ``clock`` the monotonic clock, which systemd counts by too. ``kills`` counts
    processes killed for want of memory in this life of the unit. ``version_1`` tells that systemd does not know of
    such kills.
    """

    properties: Mapping[str, str]
    now: float
    clock: float
    memory: Use | None = None
    history: History = History()
    kills: int = 0
    version_1: bool = False

    def number(self, name: str) -> int:
        """A property that is a number; 0 where it has none (``[not set]``, ``infinity``)."""
        value = self.properties.get(name, "")
        # What is not set is the largest number there is, in older versions.
        return int(value) if value.isdigit() and int(value) < 2**63 else 0

    @property
    def killed_at(self) -> tuple[float | None, bool]:
        """When a process was last killed for want of memory, and whether that is sure."""
        limit = self.number("MemoryMax")
        sure = [r.at for r in self.history.restarts if r.after.result == "oom-kill"]
        if self.history.killed_at is not None:
            sure.append(self.history.killed_at)
        if sure:
            return max(sure), True
        started = self.now - self.active_seconds
        if self.version_1 and self.kills:
            # No time is told, only that it was in this life of the unit.
            return started, True
        likely = [r.at for r in self.history.restarts if self.version_1 and limit and r.after.was_killed_hard]
        return (max(likely), False) if likely else (None, False)

    @property
    def active_seconds(self) -> float:
        """Since when it is active, or was."""
        return max(0.0, self.clock - self.number("ActiveEnterTimestampMonotonic") / 1e6)

    @property
    def last_exit(self) -> Exit:
        """How its main process ended the last time."""
        kind = _KINDS.get(self.number("ExecMainCode"), "")
        return Exit(self.properties.get("Result", ""), kind, self.number("ExecMainStatus"))


@dataclass(frozen=True)
class SystemdCheck(Check):
    """With O(unit): that unit. Without: the units that have failed, whichever."""

    TYPE: ClassVar[str] = "systemd"
    WEIGHT: ClassVar[float] = 2

    unit: str = option("str", "", about="Unit that has to be active; without it no unit may have failed.")
    active: bool = option("bool", True, about="false: the unit has to be stopped.")
    restarts_window_seconds: float = option(
        "number", 600, minimum=1, maximum=86400, about="The time in which restarts are counted."
    )
    restarts_warn: int = option(
        "int", 2, minimum=0, about="Warning when systemd itself restarted it so often in that time; 0 for none."
    )
    restarts_crit: int = option("int", 5, minimum=0, about="Critical at so many; 0 for none.")
    oom_window_seconds: float = option(
        "number",
        600,
        minimum=0,
        maximum=86400,
        about="How long a kill for want of memory is a warning; 0 for not at all.",
    )
    memory_warn_percent: float = option("percent", 80, about="Warning at this use of its MemoryMax.")
    memory_crit_percent: float = option("percent", 95, about="Critical at this use of its MemoryMax.")
    tasks_warn_percent: float = option("percent", 80, about="Warning at this use of its TasksMax.")
    tasks_crit_percent: float = option("percent", 95, about="Critical at this use of its TasksMax.")
    ignore: Sequence[str] = option("strings", (), about="Failed units to leave out, as shell patterns.")

    def problems(self) -> list[str]:
        problems = []
        if self.unit and not re.match(r"[A-Za-z0-9:_.\\@-]+\Z", self.unit):
            problems.append(f"unit: {self.unit!r} is no unit's name; expected the form name.service")
        elif self.unit.startswith("-"):
            problems.append(f"unit: {self.unit!r} starts with a dash")
        if self.unit and self.ignore:
            problems.append("ignore goes without unit: it leaves out failed units from all of them")
        for warn, crit in (
            ("restarts_warn", "restarts_crit"),
            ("memory_warn_percent", "memory_crit_percent"),
            ("tasks_warn_percent", "tasks_crit_percent"),
        ):
            if getattr(self, warn) > getattr(self, crit) > 0:
                problems.append(f"{warn} ({getattr(self, warn):g}) is above {crit} ({getattr(self, crit):g})")
        return problems

    def target(self) -> str:
        return self.unit or "all units"

    def run(self, tools: Tools, deadline: Deadline) -> Outcome:
        if self.unit:
            return self.judge_unit(self.look(tools, deadline))
        text = self._systemctl(
            tools, deadline, "list-units", "--state=failed", "--all", "--plain", "--no-legend", "--no-pager"
        )
        return self.judge_failed([line.split()[0] for line in text.splitlines() if line.strip()])

    def look(self, tools: Tools, deadline: Deadline) -> UnitState:
        """Ask systemd for the unit, the kernel for its memory and, where something happened, the journal for what."""
        text = self._systemctl(tools, deadline, "show", "--no-pager", f"--property={','.join(_PROPERTIES)}", self.unit)
        properties = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        state = UnitState(properties, tools.now(), tools.clock())
        group, restarts = properties.get("ControlGroup", ""), state.number("NRestarts")
        history, kills = History(), (memory_kills(tools, group) or 0) if group else 0
        if restarts or kills:
            window = max(self.restarts_window_seconds, self.oom_window_seconds)
            # A start by hand begins a new count: what was before it has been dealt with.
            history = history_of(entries(tools, deadline, state.now - window, _HISTORY, self.unit), restarts)
        memory = memory_of(tools, group) if group else None
        return UnitState(properties, state.now, state.clock, memory, history, kills, is_version_1(tools))

    def _systemctl(self, tools: Tools, deadline: Deadline, *arguments: str) -> str:
        done = tools.run(["systemctl", *arguments], deadline.left())
        if done.code != 0:
            raise CouldNotRun(
                f"systemctl {arguments[0]} failed: {' '.join(done.errors.split()) or done.code}",
                "look whether systemd runs (`systemctl is-system-running`), and whether the check runs as root",
            )
        return done.output

    def judge_failed(self, units: list[str]) -> Outcome:
        """No unit may have failed, but those to be ignored."""
        left = [unit for unit in units if not any(fnmatch.fnmatch(unit, pattern) for pattern in self.ignore)]
        findings = (
            [
                Finding(
                    Status.WARNING,
                    f"failed: {', '.join(left)}",
                    f"{journal(left[0])} tells why; repair it, then `systemctl reset-failed {left[0]}`",
                )
            ]
            if left
            else []
        )
        return judged(
            findings,
            seen=f"{len(left)} failed units",
            wanted="no failed unit",
            fine="no unit has failed",
            measures={"failed_units": len(left)},
        )

    def judge_unit(self, state: UnitState) -> Outcome:
        """Hold a unit's state against what is wanted of it."""
        active, sub = state.properties.get("ActiveState", "?"), state.properties.get("SubState", "?")
        restarts = [r for r in state.history.restarts if state.now - r.at <= self.restarts_window_seconds]
        seen = f"{active} ({sub})"
        measures = {"restarts": float(len(restarts))}
        findings: list[Finding] = []
        if state.properties.get("LoadState") == "not-found":
            seen = "no such unit"
            if self.active:
                findings.append(
                    Finding(Status.CRITICAL, f"there is no unit {self.unit}", f"{site()} brings it; or correct unit")
                )
        elif self.active and active not in _RUNNING:
            findings.append(self._stopped(state, f"{self.unit} is {active} ({sub})"))
        elif not self.active and active not in ("inactive", "failed"):
            findings.append(
                Finding(Status.CRITICAL, f"{self.unit} is {active} ({sub})", f"`systemctl stop {self.unit}`")
            )
        elif self.active:
            findings += self._memory_findings(state)
            measures["active_seconds"] = round(state.active_seconds)
        if self.active:
            findings += self._restart_findings(state, restarts)
        if state.properties.get("NeedDaemonReload") == "yes":
            findings.append(
                Finding(
                    Status.WARNING,
                    f"the files of {self.unit} were changed since systemd read them",
                    f"`systemctl daemon-reload && systemctl restart {self.unit}`",
                )
            )
        details = [f"{len(restarts)} restarts"]
        if state.kills:
            details.append(f"{state.kills} processes killed for want of memory since it started")
            measures["oom_kills"] = state.kills
        if state.memory and active in _RUNNING:
            limit = state.number("MemoryMax")
            share = f" of {human_bytes(limit)}" if limit else ""
            details.append(f"memory {human_bytes(state.memory.used)}{share}")
            measures["memory_bytes"] = state.memory.used
            if limit:
                measures["memory_percent"] = round(100 * state.memory.used / limit, 1)
        return judged(
            findings,
            seen=f"{seen}, {', '.join(details)}",
            wanted="active" if self.active else "stopped",
            fine=seen + (f" for {state.active_seconds:.0f} s" if active == "active" else ""),
            measures=measures,
        )

    def _stopped(self, state: UnitState, what: str) -> Finding:
        if state.properties.get("ActiveState") == "inactive" and state.last_exit.result in ("", "success"):
            return Finding(
                Status.CRITICAL,
                what,
                f"start it: `systemctl start {self.unit}`; {journal(self.unit)} tells who stopped it",
            )
        why, step = state.last_exit.words(state.number("MemoryMax"), state.version_1)
        return Finding(Status.CRITICAL, f"{what}: {why}", self._with_log(step))

    def _with_log(self, step: str) -> str:
        """What :meth:`Exit.words` says to do, and the unit's log."""
        log = journal(self.unit)
        return f"{step.format(unit=self.unit)}; its log: {log}" if step else f"look into its log: {log}"

    def _restart_findings(self, state: UnitState, restarts: Sequence[Restart]) -> list[Finding]:
        findings: list[Finding] = []
        limit, step = state.number("MemoryMax"), ""
        acknowledge = f"; `systemctl reset-failed {self.unit}` ends this warning"
        if restarts:
            why, step = restarts[-1].after.words(limit, state.version_1)
            counted = level(
                len(restarts),
                self.restarts_warn,
                self.restarts_crit,
                f"{self.unit} was restarted {len(restarts)} times in {self.restarts_window_seconds:.0f} s,"
                f" the last time {state.now - restarts[-1].at:.0f} s ago: {why}",
                f"{self._with_log(step)}{acknowledge}",
            )
            if counted.status is not Status.OK and step == _KILLED_STEP:
                return [counted]
            findings.append(counted)
        killed_at, sure = state.killed_at
        if killed_at is not None and state.now - killed_at <= self.oom_window_seconds:
            text = "was killed for want of memory" if sure else "was killed by SIGKILL, usually for want of memory,"
            at_limit = f"its limit is {human_bytes(limit)}" if limit else "it has no limit of its own"
            findings.append(
                Finding(
                    Status.WARNING,
                    f"a process of {self.unit} {text} {state.now - killed_at:.0f} s ago ({at_limit})",
                    self._with_log(_KILLED_STEP) + (acknowledge if state.history.restarts else ""),
                )
            )
        return findings

    def _memory_findings(self, state: UnitState) -> list[Finding]:
        limit, tasks, most = state.number("MemoryMax"), state.number("TasksCurrent"), state.number("TasksMax")
        findings = []
        if limit and state.memory:
            used = 100 * state.memory.used / limit
            findings.append(
                level(
                    used,
                    self.memory_warn_percent,
                    self.memory_crit_percent,
                    f"{self.unit} uses {used:.0f} % of its memory limit of {human_bytes(limit)}",
                    f"{_KILLED_STEP}, before the kernel kills it: `systemctl show -p MemoryMax {self.unit}`",
                )
            )
        if most:
            findings.append(
                level(
                    100 * tasks / most,
                    self.tasks_warn_percent,
                    self.tasks_crit_percent,
                    f"{self.unit} has {tasks} of {most} processes and threads that it may have",
                    f"look what it starts (`systemd-cgls -u {self.unit}`), or raise its TasksMax",
                )
            )
        return findings


_HISTORY = (*KILLED_FOR_MEMORY, PROCESS_EXIT, UNIT_FAILED, UNIT_ENDED_WELL, RESTART_SCHEDULED)
