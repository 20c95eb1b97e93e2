# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A port that accepts connections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..check import Check
from ..model import Outcome, judged, level
from ..net import connect, where
from ..options import option
from ..tools import Deadline, Tools


@dataclass(frozen=True)
class TcpCheck(Check):
    """Connects and hangs up."""

    TYPE: ClassVar[str] = "tcp"
    WEIGHT: ClassVar[float] = 2

    host: str = option("str", required=True, about="Name or address.")
    port: int = option("port", required=True, about="Port.")
    warn_ms: float = option("number", 1000, minimum=0, about="Warning from this many milliseconds; 0 for none.")
    crit_ms: float = option("number", 0, minimum=0, about="Critical from this many milliseconds; 0 for none.")

    def target(self) -> str:
        return where(self.host, self.port)

    def run(self, tools: Tools, deadline: Deadline) -> Outcome:
        connect(self.host, self.port, deadline).close()
        took = deadline.spent_ms()
        return judged(
            [
                level(
                    took,
                    self.warn_ms,
                    self.crit_ms,
                    f"{self.target()} took {took:.0f} ms to accept a connection",
                    f"look at the load of that host (`uptime` there) and the network between (`ping -c 3 {self.host}`)",
                )
            ],
            seen=f"connected in {took:.0f} ms",
            wanted=f"a connection in less than {self.warn_ms:g} ms" if self.warn_ms else "a connection",
            fine=f"accepts connections ({took:.0f} ms)",
            measures={"answer_ms": round(took, 1)},
        )
