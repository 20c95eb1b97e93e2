# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter of the role firewall: judges its rules before any host is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.stack.plugins.module_utils.firewall.model import Settings, findings


def firewall_findings(rules: object, settings: Mapping[str, Any] | None = None, prefix: str = "firewall_") -> list[str]:
    """What keeps these rules and settings from being a firewall."""
    if not isinstance(rules, Mapping):
        raise AnsibleFilterError(
            f"firewall_findings takes lists of rules by the names of their variables; got {rules!r}"
        )
    try:
        given = Settings(**(settings or {}))
    except TypeError as error:
        raise AnsibleFilterError(f"firewall_findings: settings: {error}") from error
    return list(findings(rules, given, prefix))


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names and functions."""
        return {"firewall_findings": firewall_findings}
