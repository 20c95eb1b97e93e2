# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The release that an application has on disk, and the one that its unit runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

from ..check import Check
from ..model import CouldNotRun, Finding, Outcome, Status, judged
from ..options import option
from ..steps import site
from ..tools import Deadline, Tools


@dataclass(frozen=True)
class ReleaseCheck(Check):
    """Reads the link ``current`` and the working directory of the unit's process.

    A link that leads nowhere, and a process that still runs another release than the link names,
    are what half-done deploys leave behind.
    """

    TYPE: ClassVar[str] = "release"
    WEIGHT: ClassVar[float] = 2

    root: str = option("str", required=True, about="Folder that holds releases/ and the link current.")
    unit: str = option("str", "", about="Unit whose process has to run the current release.")
    release: str = option("str", "", about="The release that has to be the current one.")

    def problems(self) -> list[str]:
        if not PurePosixPath(self.root).is_absolute() or ".." in PurePosixPath(self.root).parts:
            return [f"root: expected an absolute path, got {self.root!r}"]
        if self.unit.startswith("-"):
            return [f"unit: {self.unit!r} starts with a dash"]
        return []

    def target(self) -> str:
        return f"{self.root}/current" + (f" in {self.unit}" if self.unit else "")

    def run(self, tools: Tools, deadline: Deadline) -> Outcome:
        current = os.path.realpath(f"{self.root}/current")
        present = Path(current).is_dir()
        running = self._running(tools, deadline) if self.unit and present else ""
        return self.judge(PurePosixPath(current).name if present else "", running)

    def judge(self, current: str, running: str) -> Outcome:
        """``current`` is empty where the link leads nowhere, ``running`` where no process shows it."""
        findings = []
        if not current:
            findings.append(
                Finding(Status.CRITICAL, f"{self.root}/current leads to no release", f"deploy one: {site('app')}")
            )
        elif self.release and current != self.release:
            findings.append(
                Finding(
                    Status.CRITICAL,
                    f"the current release is {current}",
                    f"deploy {self.release} to this host: {site('app')}",
                )
            )
        if current and running and running != current:
            findings.append(
                Finding(
                    Status.WARNING,
                    f"{self.unit} still runs {running} while {current} is the current release",
                    f"restart it (`systemctl restart {self.unit}`), or finish the deploy: {site('app')}",
                )
            )
        wanted = self.release or "a current release"
        return judged(
            findings,
            seen=running or current or "none",
            wanted=f"{wanted}, run by {self.unit}" if self.unit else wanted,
            fine=running or current,
        )

    def _running(self, tools: Tools, deadline: Deadline) -> str:
        """The release within whose folder the unit's process works, or nothing."""
        done = tools.run(["systemctl", "show", "--property=MainPID", "--value", self.unit], deadline.left())
        pid = done.output.strip()
        if done.code != 0 or not pid.isdigit() or pid == "0":
            return ""
        try:
            folder = Path(f"/proc/{pid}/cwd").readlink()
        except PermissionError:
            raise CouldNotRun(f"process {pid} of {self.unit} may not be looked at", "run the check as root") from None
        except OSError:
            return ""
        releases = PurePosixPath(os.path.realpath(f"{self.root}/releases"))
        path = PurePosixPath(folder)
        return path.relative_to(releases).parts[0] if releases in path.parents else ""
