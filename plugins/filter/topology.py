# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters that turn the inventory into what roles are told; the work is done in module_utils/topology."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.stack.plugins.module_utils.deploy.request import VARIABLES as DEPLOY_VARIABLES
from ansible_collections.slipway.stack.plugins.module_utils.topology.build import PUBLIC_VARIABLES, build
from ansible_collections.slipway.stack.plugins.module_utils.topology.checks import health_checks
from ansible_collections.slipway.stack.plugins.module_utils.topology.coordination import coordination_host
from ansible_collections.slipway.stack.plugins.module_utils.topology.maintenance import maintenance_findings
from ansible_collections.slipway.stack.plugins.module_utils.topology.model import TopologyError
from ansible_collections.slipway.stack.plugins.module_utils.topology.ports import wanted_ports
from ansible_collections.slipway.stack.plugins.module_utils.topology.secrets import (
    SecretError,
    application_secrets,
    database_secrets,
    secret_findings,
)
from ansible_collections.slipway.stack.plugins.module_utils.topology.validate import (
    inventory_findings,
    misplaced,
    near_misses,
)
from ansible_collections.slipway.stack.plugins.module_utils.topology.view import CA_FILE, host_view, services
from ansible_collections.slipway.stack.plugins.plugin_utils.inventory import look_up, read_inventory

OVERRIDABLE = (
    "firewall_rules",
    "nginx_acme_peers",
    "nginx_applications",
    "nginx_assets",
    "nginx_cores",
    "os_tuning_reserved_ports",
    "os_tuning_services",
    "postgresql_clients",
    "postgresql_cores",
    "postgresql_listen_address",
    "postgresql_memory_mb",
    "postgresql_rotational",
    "postgresql_wal_disk_mb",
    "redis_address",
    "redis_memory_mb",
    "tls_certificates",
    "tls_names",
)
"""Role variables that the playbooks pass, and that an inventory may set instead. None holds a secret."""


@lru_cache(maxsize=1)
def _role_variables() -> frozenset[str]:
    """Every variable that a role's argument specification names.

    Not those of the role app: they are said in slipway_apps, and app_ is a prefix that many use for their own.
    """
    roles = Path(__file__).parent.parent.parent / "roles"
    return frozenset(
        name
        for specs in sorted(roles.glob("*/meta/argument_specs.yml"))
        for entry in yaml.safe_load(specs.read_text(encoding="utf-8"))["argument_specs"].values()
        for name in entry.get("options", {})
        if not name.startswith("app_")
    )


def _given(own: Mapping[str, Any]) -> dict[str, Any]:
    """The role variables that the inventory sets for a host, of those that win over what the topology derives."""
    found = {name: look_up(own, name) for name in OVERRIDABLE if name in own}
    return {name: value for name, value in found.items() if value is not None}


def topology(hostvars: Mapping[str, Any], groups: Mapping[str, Sequence[str]], host: str) -> dict[str, Any]:
    """What `host` has to be."""
    try:
        return {**host_view(build(read_inventory(hostvars, groups, host)), host), "given": _given(hostvars[host])}
    except TopologyError as error:
        raise AnsibleFilterError(str(error)) from error


def topology_checks(
    hostvars: Mapping[str, Any], groups: Mapping[str, Sequence[str]], host: str
) -> list[dict[str, Any]]:
    """The health checks that `host` runs."""
    try:
        whole = build(read_inventory(hostvars, groups, host))
        return health_checks(whole, whole.hosts[host], CA_FILE)
    except TopologyError as error:
        raise AnsibleFilterError(str(error)) from error


def topology_preflight(hostvars: Mapping[str, Any], groups: Mapping[str, Sequence[str]], host: str) -> dict[str, Any]:
    """What preflight needs to know of `host`; its ports and services only where the inventory is sound."""
    inventory = read_inventory(hostvars, groups, host)
    names = {name: tuple(hostvars[name].keys()) for name in groups["all"]}
    own = hostvars[host]
    found = (
        *near_misses(names, PUBLIC_VARIABLES.union(_role_variables(), DEPLOY_VARIABLES)),
        *misplaced(names),
        *inventory_findings(inventory),
    )
    if found:
        return {"findings": [finding.as_dict() for finding in found], "services": [], "ports": []}
    whole = build(inventory)
    secrets = secret_findings(
        whole,
        own.get("slipway_database_passwords") or {},
        own.get("slipway_redis_password") or "",
        own.get("slipway_app_secrets") or {},
    )
    return {
        "findings": [finding.as_dict() for finding in secrets],
        "services": services(whole, host),
        "ports": [
            {"port": wanted.port, "purpose": wanted.variable, "unit_pattern": wanted.units}
            for wanted in wanted_ports(whole, whole.hosts[host])
        ],
    }


def coordination(hostvars: Mapping[str, Any], groups: Mapping[str, Sequence[str]], host: str) -> dict[str, str]:
    """Where the runs that change the fleet meet, and in whose name this one does."""
    own = hostvars[host]
    try:
        found = coordination_host(groups, look_up(own, "slipway_coordination_host"))
    except TopologyError as error:
        raise AnsibleFilterError(str(error)) from error
    return {"host": found, "operator": look_up(own, "slipway_operator") or _user()}


def _user() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        # A container's user without an entry in its passwd.
        name = "unknown"
    return f"{name}@{socket.gethostname()}"


def maintenance(
    apps: Mapping[str, Any] | None,
    groups: Mapping[str, Sequence[str]],
    hosts: Sequence[str],
    application: Any,
    state: Any,
) -> list[dict[str, str]]:
    """What is wrong with a maintenance that is asked for."""
    found = maintenance_findings(apps or {}, groups.get("edge", ()), hosts, application, state)
    return [finding.as_dict() for finding in found]


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
            "topology_checks": topology_checks,
            "topology_preflight": topology_preflight,
            "coordination": coordination,
            "maintenance_findings": maintenance,
            "with_passwords": with_passwords,
            "secret_environment": secret_environment,
        }
