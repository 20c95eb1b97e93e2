# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The limits of requests and connections that this edge's nginx runs with, as its admin socket tells them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ...nginx.admin import SOCKET, Admin, AdminError, NotRunning
from ..check import Check
from ..model import CouldNotRun, Finding, Outcome, Status, Unreachable, judged
from ..options import option
from ..steps import journal, site
from ..tools import Deadline, Tools

_STEP = site("nginx")


@dataclass(frozen=True)
class LimitsCheck(Check):
    """Looks at what nginx was loaded with, not at its files, and trips no limit."""

    TYPE: ClassVar[str] = "limits"
    WEIGHT: ClassVar[float] = 1

    application: str = option("str", required=True, about="Application whose limits they are.")
    requests: bool = option("bool", True, about="Whether there has to be a limit of requests that refuses.")
    connections: int | None = option("int", minimum=0, about="Connections that a client may have; 0 for no limit.")

    def target(self) -> str:
        return self.application

    def run(self, tools: Tools, deadline: Deadline) -> Outcome:
        return self.judge(self.look(lambda: Admin(SOCKET, deadline.left())))

    def look(self, admin: Callable[[], Admin]) -> Mapping[str, Any]:
        """Ask nginx. Raises Unreachable and CouldNotRun."""
        try:
            applications = admin().limits().get("applications")
        except NotRunning as error:
            raise Unreachable(
                str(error), f"start it: `systemctl start nginx`; {journal('nginx')} tells why it ended"
            ) from None
        except AdminError as error:
            raise CouldNotRun(str(error), f"let nginx run with the configuration of the role: {_STEP}") from None
        return applications if isinstance(applications, Mapping) else {}

    def judge(self, applications: Mapping[str, Any]) -> Outcome:
        """Hold what nginx runs with, by application, against what is wanted."""
        found = applications.get(self.application)
        wanted = ["a limit of requests"] if self.requests else []
        if self.connections is not None:
            wanted.append(
                f"at most {self.connections} connections" if self.connections else "any number of connections"
            )
        if not isinstance(found, Mapping):
            missing = f"nginx knows no application {self.application}"
            return judged(
                [Finding(Status.CRITICAL, missing, _STEP)], seen=missing, wanted=", ".join(wanted), fine=missing
            )
        limits = {name: limit for name, limit in found["limits"].items() if not limit.get("dry_run")}
        most = int(found["connections_max"])
        seen = [f"{name} {limit['requests']} in {limit['seconds']} s" for name, limit in sorted(limits.items())]
        seen.append(f"{most} connections" if most else "any number of connections")
        findings = []
        if self.requests and not limits:
            trial = ", ".join(sorted(found["limits"]))
            findings.append(
                Finding(
                    Status.WARNING,
                    f"no limit of requests refuses anything{f' ({trial} only try out)' if trial else ''}",
                    f"name limits in `slipway_apps.{self.application}.locations`, without dry_run, then {_STEP}",
                )
            )
        if self.connections is not None and most != self.connections:
            findings.append(Finding(Status.WARNING, f"nginx allows {most} connections", _STEP))
        text = ", ".join(seen)
        by_user = [limit for limit in limits.values() if limit.get("by") == "user" and limit.get("tiers")]
        return judged(
            findings,
            seen=text,
            wanted=", ".join(wanted),
            fine=text,
            measures={"limits": len(limits), "limits_by_tier": len(by_user), "connections_max": most},
        )
