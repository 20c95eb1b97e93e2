# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the runs that change a fleet meet: the host that keeps its lease and its ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .model import TopologyError


def coordination_host(groups: Mapping[str, Sequence[str]], named: str | None = None) -> str:
    """The named host, else the first of the group ``edge``, else the first of the inventory.

    Raises :class:`TopologyError` where there is no such host.
    """
    hosts = groups.get("all", ())
    if named and named not in hosts:
        raise TopologyError(
            f"slipway_coordination_host: {named!r} is not a host of the inventory; expected one of {', '.join(hosts)},"
            " or remove slipway_coordination_host for the first host of the group edge"
        )
    found = named or next(iter(groups.get("edge", ()) or hosts), None)
    if found is None:
        raise TopologyError("the inventory has no hosts; give one with -i")
    return found
