# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What went wrong in a deploy, whose fault it is, and what to tell the operator once the hosts went back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FIRST_LINE = 200
OF_NO_RETURN = ("contract", "ledger")
"""Phases in which every host runs the new release, and the database may have lost what an older one needs."""


@dataclass(frozen=True)
class Failure:
    """A failed phase. ``errors`` are by host; ``unreachable`` hosts dropped out; ``batch`` are the hosts it was about.

    ``is_release`` tells that the release is to blame, so that nobody should go to it again: a host that had it did not
    prove healthy. A host that was cut off, a full disk or a lost lease say nothing of the release.
    """

    phase: str
    batch: tuple[str, ...]
    errors: Mapping[str, str]
    unreachable: tuple[str, ...]
    is_release: bool

    @property
    def goes_back(self) -> bool:
        """Whether hosts may go back to what they ran before."""
        return self.phase not in OF_NO_RETURN

    @property
    def summary(self) -> str:
        """What failed, in a line."""
        told = {host: text.strip() for host, text in self.errors.items()}
        parts = [f"{host}: {text.splitlines()[0][:FIRST_LINE]}" for host, text in told.items() if text]
        parts += [f"{host} cannot be reached" for host in self.unreachable]
        return f"{self.phase} failed: {'; '.join(parts) or 'no host says why'}"


def failure(
    plan: Mapping[str, Any], phase: str, errors: Mapping[str, str], unreachable: Sequence[str], blaming: Sequence[str]
) -> Failure:
    """Return what failed. ``blaming`` are the hosts that failed while a release was proven on them, in its batch."""
    batch = next((one["hosts"] for one in plan["batches"] if one["phase"] == phase), ())
    if phase == "soak":
        batch = plan["batches"][0]["hosts"]
    return Failure(phase, tuple(batch), dict(errors), tuple(unreachable), bool(batch and blaming))


def message(
    failed: Failure,
    release: str | None,
    application: str,
    states: Mapping[str, str | None],
    drained: Sequence[str],
    lost: Sequence[str],
) -> list[str]:
    """Return what the operator is told at the end.

    ``states`` are the hosts that came back, with what is current there; ``lost`` those that did not; ``drained`` the
    members that this run took out of the pool and did not bring back.
    """
    lines = [f"{application} {release or ''}: {failed.summary}"]
    by_release: dict[str, list[str]] = {}
    for host, state in states.items():
        by_release.setdefault(state or "no release", []).append(host)
    lines += [f"{state} is current on {', '.join(hosts)}" for state, hosts in by_release.items()]
    if failed.is_release:
        lines.append(f"{release} is marked bad: it is not deployed again, and rollback passes it over")
    if lost:
        lines.append(f"not brought back: {', '.join(lost)}; see what is wrong there, it was left as it was")
    if drained:
        lines.append(f"still out of the pool: {', '.join(drained)}")
    if not failed.goes_back:
        lines.append(
            "no host goes back: the database may have lost what an older release needs; run the same command again,"
            " which goes on"
        )
    elif lost or drained:
        again = "deploy a release that works" if failed.is_release else "run the same command again, which goes on"
        lines.append(f"then {again}, or `rollback`, which goes back")
    elif not states:
        lines.append("nothing was changed on any host")
    elif release is None or release not in states.values():
        lines.append("every host serves what it served before")
    return lines
