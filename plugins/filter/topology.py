# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters that turn the inventory into what roles are told; the work is done in module_utils/topology."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.stack.plugins.module_utils.topology.build import (
    GLOBAL_VARIABLES,
    HOST_VARIABLES,
    PUBLIC_VARIABLES,
    Inventory,
    build,
)
from ansible_collections.slipway.stack.plugins.module_utils.topology.model import TopologyError
from ansible_collections.slipway.stack.plugins.module_utils.topology.secrets import (
    SecretError,
    application_secrets,
    database_secrets,
)
from ansible_collections.slipway.stack.plugins.module_utils.topology.validate import (
    inventory_findings,
    near_misses,
    wanted_ports,
)
from ansible_collections.slipway.stack.plugins.module_utils.topology.view import host_view, services


def _inventory(hostvars: Mapping[str, Any], groups: Mapping[str, Sequence[str]], host: str) -> Inventory:
    """Only the variables that matter are looked up: each look-up is a template that Ansible renders."""
    own = hostvars[host]
    host_variables = {}
    for name in groups["all"]:
        values = {key: hostvars[name].get(key) for key in HOST_VARIABLES}
        if values["slipway_cores"] is None:
            # Known where this run has gathered them; a declared number serves where it has not.
            values["slipway_cores"] = (hostvars[name].get("slipway_host") or {}).get("cores")
        host_variables[name] = values
    return Inventory(groups, host_variables, {key: own.get(key) for key in GLOBAL_VARIABLES})


@lru_cache(maxsize=1)
def _role_variables() -> Mapping[str, bool]:
    """Every variable that a role's argument specification names, and whether it holds a secret."""
    roles = Path(__file__).parent.parent.parent / "roles"
    return {
        name: bool(option.get("no_log"))
        for specs in sorted(roles.glob("*/meta/argument_specs.yml"))
        for entry in yaml.safe_load(specs.read_text(encoding="utf-8"))["argument_specs"].values()
        for name, option in entry.get("options", {}).items()
    }


def _given(own: Mapping[str, Any]) -> dict[str, Any]:
    """The role variables that the inventory sets for a host: they win over what the topology derives."""
    return {name: own[name] for name, is_secret in _role_variables().items() if not is_secret and name in own}


def topology(hostvars: Mapping[str, Any], groups: Mapping[str, Sequence[str]], host: str) -> dict[str, Any]:
    """What `host` has to be."""
    try:
        return {**host_view(build(_inventory(hostvars, groups, host)), host), "given": _given(hostvars[host])}
    except TopologyError as error:
        raise AnsibleFilterError(str(error)) from error


def topology_preflight(hostvars: Mapping[str, Any], groups: Mapping[str, Sequence[str]], host: str) -> dict[str, Any]:
    """What preflight needs to know of `host`; its ports and services only where the inventory is sound."""
    inventory = _inventory(hostvars, groups, host)
    slips = near_misses(
        {name: hostvars[name].keys() for name in groups["all"]}, PUBLIC_VARIABLES.union(_role_variables())
    )
    errors = inventory_findings(inventory)
    return {
        "findings": [finding.as_dict() for finding in (*slips, *errors)],
        "services": [] if errors else services(build(inventory), host),
        "ports": []
        if errors
        else [
            {"port": port, "purpose": variable, "unit_pattern": units}
            for port, variable, units in wanted_ports(inventory)[host]
        ],
    }


def with_passwords(databases: Sequence[Mapping[str, Any]], passwords: Mapping[str, str] | None) -> list[dict[str, Any]]:
    """The databases with their owners' passwords."""
    try:
        return database_secrets(databases, passwords or {})
    except SecretError as error:
        raise AnsibleFilterError(str(error)) from error


def secret_environment(
    application: Mapping[str, Any],
    database_passwords: Mapping[str, str] | None = None,
    redis_password: str = "",
    secrets: Mapping[str, Mapping[str, str]] | None = None,
    ca_file: str = "",
) -> dict[str, str]:
    """The part of an application's environment that holds secrets."""
    try:
        return application_secrets(application, database_passwords or {}, redis_password, secrets or {}, ca_file)
    except SecretError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters that work on the topology."""

    def filters(self) -> dict[str, Any]:
        return {
            "topology": topology,
            "topology_preflight": topology_preflight,
            "with_passwords": with_passwords,
            "secret_environment": secret_environment,
        }
