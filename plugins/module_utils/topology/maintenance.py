# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with a maintenance that is asked for, before any edge is touched."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ..host.findings import ERROR, Finding

STATES = ("announced", "on", "off")


def maintenance_findings(
    apps: Mapping[str, Any], edges: Sequence[str], reached: Collection[str], application: Any, state: Any
) -> Iterator[Finding]:
    """What makes it impossible.

    Args:
        apps: ``slipway_apps``.
        edges: the hosts of the group ``edge``.
        reached: the hosts of the play.
        application, state: what is asked for, empty or None where it is not said.
    """
    served = [name for name, entry in apps.items() if entry.get("kind") != "worker"]
    if application not in served:
        told = "nothing" if application in (None, "") else repr(application)
        yield _error(
            "maintenance_application",
            f"{told}, a worker, which no client reaches" if application in apps else told,
            f"one of {', '.join(served)}" if served else "an application that clients reach; slipway_apps has none",
            "say which one: -e maintenance_application=NAME",
        )
    if state not in STATES:
        yield _error(
            "maintenance_state",
            "nothing" if state in (None, "") else repr(state),
            ", ".join(STATES),
            # YAML takes a bare on for true.
            'say what is wanted: -e maintenance_state=on; in a file with quotes: "on"',
        )
    left_out = [name for name in edges if name not in reached]
    if left_out:
        yield _error(
            "--limit",
            f"all but {', '.join(left_out)}",
            "every host of the group edge, since clients arrive at each",
            "leave --limit out; take an edge that is gone out of the group",
        )


def _error(variable: str, received: str, expected: str, fix: str) -> Finding:
    return Finding(ERROR, "", variable, received, expected, fix)
