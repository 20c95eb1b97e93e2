# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventory as Ansible has it, read for the cores that work on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleUndefinedVariable
from ansible_collections.slipway.stack.plugins.module_utils.topology.build import (
    GLOBAL_VARIABLES,
    HOST_VARIABLES,
    Inventory,
)


def read_inventory(
    hostvars: Mapping[str, Any],
    groups: Mapping[str, Sequence[str]],
    host: str,
    unknown_cores: int | None = None,
) -> Inventory:
    """Only the variables that matter are looked up: each look-up is a template that Ansible renders.

    ``unknown_cores`` stands for the cores of a host that neither the inventory nor this run tells, such as a dead one.
    """
    own = hostvars[host]
    host_variables = {}
    for name in groups["all"]:
        values = {key: look_up(hostvars[name], key) for key in HOST_VARIABLES}
        if values["slipway_cores"] is None:
            # Known where this run has gathered them; a declared number serves where it has not.
            values["slipway_cores"] = _gathered(hostvars[name]).get("cores", unknown_cores)
        host_variables[name] = values
    return Inventory(groups, host_variables, {key: own.get(key) for key in GLOBAL_VARIABLES})


def _gathered(variables: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the module host_info told of a host: as a variable of the role preflight, or as the fact itself."""
    facts = variables.get("ansible_facts") or {}
    return variables.get("slipway_host") or facts.get("slipway_host") or {}


def look_up(variables: Mapping[str, Any], name: str) -> Any:
    """A variable of a host, or None where there is none, or where only a role can resolve it."""
    try:
        return variables.get(name)
    except AnsibleUndefinedVariable:
        return None
