# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A unit of systemd that has to be active and to stay so; or no failed unit at all."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..check import Check
from ..model import CouldNotRun, Finding, Outcome, Status, judged
from ..options import option
from ..tools import Deadline, Tools

_PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "NRestarts",
    "ActiveEnterTimestampMonotonic",
    "ExecMainStatus",
)
_RESULTS = {
    "oom-kill": "it ran out of memory: raise its memory limit or find the leak",
    "exit-code": "it ended with an error: look into its log",
    "signal": "it was killed by a signal: look into its log and the kernel's",
    "timeout": "it did not start or stop in time: look into its log, and at its TimeoutStartSec",
    "start-limit-hit": "it failed too often in a row: repair it, then systemctl reset-failed and start it",
    "watchdog": "it did not report to the watchdog in time: look into its log",
}


@dataclass(frozen=True)
class SystemdCheck(Check):
    """With O(unit): that unit. Without: the units that have failed, whichever."""

    TYPE: ClassVar[str] = "systemd"
    WEIGHT: ClassVar[float] = 2

    unit: str = option("str", "", about="Unit that has to be active; without it no unit may have failed.")
    active: bool = option("bool", True, about="false: the unit has to be stopped.")
    restarts_warn: int = option(
        "int",
        2,
        minimum=0,
        about="Warning when systemd restarted it so often and it is not stable since; 0 for none.",
    )
    stable_seconds: float = option("number", 60, minimum=0, about="How long after a restart it counts as stable.")
    ignore: Sequence[str] = option("strings", (), about="Failed units to leave out, as shell patterns.")

    def problems(self) -> list[str]:
        if self.unit and not re.match(r"[A-Za-z0-9:_.\\@-]+\Z", self.unit):
            return [f"unit: {self.unit!r} is no unit's name; expected the form name.service"]
        if self.unit and self.unit.startswith("-"):
            return [f"unit: {self.unit!r} starts with a dash"]
        if self.unit and self.ignore:
            return ["ignore goes without unit: it leaves out failed units from all of them"]
        return []

    def target(self) -> str:
        return self.unit or "all units"

    def run(self, tools: Tools, deadline: Deadline) -> Outcome:
        if not self.unit:
            text = self._systemctl(
                tools, deadline, "list-units", "--state=failed", "--all", "--plain", "--no-legend", "--no-pager"
            )
            return self.judge_failed([line.split()[0] for line in text.splitlines() if line.strip()])
        text = self._systemctl(tools, deadline, "show", "--no-pager", f"--property={','.join(_PROPERTIES)}", self.unit)
        properties = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        return self.judge_unit(properties, tools.clock())

    def _systemctl(self, tools: Tools, deadline: Deadline, *arguments: str) -> str:
        done = tools.run(["systemctl", *arguments], deadline.left())
        if done.code != 0:
            raise CouldNotRun(
                f"systemctl {arguments[0]} failed: {' '.join(done.errors.split()) or done.code}",
                "look whether systemd runs on this host, and whether the check runs as root",
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
                    f"journalctl -u {left[0]}, repair it, then systemctl reset-failed {left[0]}",
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

    def judge_unit(self, properties: Mapping[str, str], now: float) -> Outcome:
        """``now`` is the monotonic clock in seconds, which systemd counts by too."""
        state, sub = properties.get("ActiveState", "?"), properties.get("SubState", "?")
        restarts = int(properties.get("NRestarts") or 0)
        entered = int(properties.get("ActiveEnterTimestampMonotonic") or 0) / 1e6
        for_seconds = max(0.0, now - entered)
        seen = f"{state} ({sub})"
        findings = []
        if properties.get("LoadState") == "not-found":
            seen = "no such unit"
            if self.active:
                findings.append(
                    Finding(Status.CRITICAL, f"there is no unit {self.unit}", "run the site playbook, or correct unit")
                )
        elif self.active and state not in ("active", "reloading"):
            result = properties.get("Result", "")
            why = f", because of {result}" if result not in ("", "success") else ""
            step = _RESULTS.get(result, "start it" if state == "inactive" else "look into its log")
            findings.append(
                Finding(
                    Status.CRITICAL,
                    f"{self.unit} is {state} ({sub}){why}",
                    f"{step} (journalctl -u {self.unit} -n 50)",
                )
            )
        elif not self.active and state not in ("inactive", "failed"):
            findings.append(Finding(Status.CRITICAL, f"{self.unit} is {state} ({sub})", f"systemctl stop {self.unit}"))
        elif self.active and 0 < self.restarts_warn <= restarts and for_seconds < self.stable_seconds:
            findings.append(
                Finding(
                    Status.WARNING,
                    f"{self.unit} was restarted {restarts} times, the last time {for_seconds:.0f} s ago",
                    f"look why it ends (journalctl -u {self.unit} -n 100)",
                )
            )
        return judged(
            findings,
            seen=f"{seen}, {restarts} restarts",
            wanted="active" if self.active else "stopped",
            fine=seen + (f" for {for_seconds:.0f} s" if state == "active" else ""),
            measures={"restarts": restarts},
        )
