# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The firewall of the role ``firewall``: loaded, dropping what no rule lets in, and there again after a boot."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from ...firewall.render import TABLE, UNIT
from ..check import Check
from ..model import CouldNotRun, Finding, Outcome, Status, judged
from ..options import option
from ..steps import site
from ..tools import Deadline, Tools

_STEP = site("firewall")


@dataclass(frozen=True)
class FirewallCheck(Check):
    """Lists the rules that the kernel has, and asks systemd for those of the next boot."""

    TYPE: ClassVar[str] = "firewall"
    WEIGHT: ClassVar[float] = 2

    boot: bool = option("bool", True, about="Whether the rules have to be loaded at boot, too.")

    def target(self) -> str:
        return TABLE

    def run(self, tools: Tools, deadline: Deadline) -> Outcome:
        listed = tools.run(["nft", "--stateless", "list", "table", *TABLE.split()], deadline.left())
        if listed.code != 0 and "No such file" not in listed.errors:
            raise CouldNotRun(f"nft: {' '.join(listed.errors.split())}", "run the check as root")
        enabled = tools.run(["systemctl", "is-enabled", UNIT], deadline.left())
        return self.judge(listed.output if listed.code == 0 else None, enabled.output.strip() == "enabled")

    def judge(self, rules: str | None, enabled: bool) -> Outcome:
        """``rules`` is the listing of the table, None where there is no such table."""
        findings = []
        if rules is None:
            findings.append(Finding(Status.CRITICAL, f"the table {TABLE} is not loaded: every port is open", _STEP))
        elif not re.search(r"hook input [^;]*; policy drop;", rules):
            findings.append(Finding(Status.CRITICAL, f"{TABLE} lets in what no rule names", _STEP))
        if self.boot and not enabled:
            findings.append(Finding(Status.WARNING, f"{UNIT} is not enabled: a boot leaves every port open", _STEP))
        accepting = len(re.findall(r"\baccept\b", rules or ""))
        seen = "; ".join(finding.message for finding in findings) or f"{accepting} rules that let in, all else dropped"
        return judged(
            findings,
            seen=seen,
            wanted="what no rule lets in is dropped, also after a boot",
            fine=seen,
            measures={"rules": accepting},
        )
