# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the role keepalived: judge how an address is to be shared, and find the interface for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.stack.plugins.module_utils.keepalived import sharing


def _sharing(filter_name: str, settings: object) -> sharing.Sharing:
    if not isinstance(settings, Mapping):
        raise AnsibleFilterError(f"{filter_name} takes a dictionary of settings; got {settings!r}")
    try:
        return sharing.Sharing(
            address=str(settings["address"]),
            interface=str(settings["interface"]),
            own_address=str(settings["own_address"]),
            peers=tuple(str(peer) for peer in settings["peers"]),
            router_id=int(settings["router_id"]),
            advert_interval_seconds=float(settings["advert_interval_seconds"]),
            port=int(settings["port"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"{filter_name}: settings are not complete: {error}") from error


def keepalived_findings(settings: object, addresses: Sequence[Mapping[str, Any]]) -> list[str]:
    """What keeps this host from sharing the address."""
    return list(sharing.findings(_sharing("keepalived_findings", settings), sharing.interfaces(addresses)))


def keepalived_interface(settings: object, addresses: Sequence[Mapping[str, Any]]) -> str:
    """The interface that is to carry the address; empty where there is none."""
    return sharing.carrier(_sharing("keepalived_interface", settings), sharing.interfaces(addresses)) or ""


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names and functions."""
        return {"keepalived_findings": keepalived_findings, "keepalived_interface": keepalived_interface}
