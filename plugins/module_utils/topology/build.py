# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the inventory's groups and variables to the topology."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .applications import parse
from .model import Application, Endpoint, Host, RedisLayout, Topology

HTTP_PORT = 80
HTTPS_PORT = 443
POSTGRESQL_PORT = 5432
REDIS_PORT = 6379
CLUSTER_MASTERS_MIN = 3
"""Redis Cluster needs three masters to elect a replacement for one."""


@dataclass(frozen=True)
class Inventory:
    """What is read of the inventory: groups, a few variables of each host, and the global variables."""

    groups: Mapping[str, Sequence[str]]
    host_variables: Mapping[str, Mapping[str, Any]]
    variables: Mapping[str, Any]


HOST_VARIABLES = (
    "ansible_host",
    "slipway_address",
    "slipway_cores",
    "slipway_health_options",
    "nginx_http_port",
    "nginx_https_port",
    # Locations name limits, and limits countries.
    "nginx_limits",
    "nginx_geoip_database",
    # A role's variable that could destroy a host is looked at before any role runs.
    "postgresql_data_directory",
    # What a host does without, no check looks for.
    "firewall_enabled",
    "nginx_hsts_seconds",
    "redis_persistence_enabled",
)
GLOBAL_VARIABLES = (
    "slipway_apps",
    # A fact: what became of the artefacts that are sources of some kind.
    "slipway_artifacts",
    "slipway_coordination_host",
    "slipway_deploy_hooks",
    "slipway_deploy_notify",
    "slipway_edge_address",
    "slipway_postgresql_port",
    "slipway_redis_mode",
    "slipway_redis_port",
    "slipway_redis_instances_per_host",
    "slipway_redis_replicas",
)
OTHER_VARIABLES = (
    "slipway_app_secrets",
    "slipway_artifact_directory",
    "slipway_audit_evidence",
    "slipway_audit_fail_on",
    "slipway_audit_guides",
    "slipway_audit_not_applicable",
    "slipway_database_passwords",
    "slipway_freezes",
    "slipway_health_checks",
    "slipway_operator",
    "slipway_redis_password",
    "slipway_report_directory",
    "slipway_status_fail_on",
    "slipway_status_file",
    "slipway_verify_fail_on",
    # Facts that the playbooks set.
    "slipway_audit",
    "slipway_deploy",
    "slipway_host",
    "slipway_lease",
    "slipway_report",
    "slipway_topology",
)
PUBLIC_VARIABLES = frozenset(HOST_VARIABLES + GLOBAL_VARIABLES + OTHER_VARIABLES)
"""Every variable of the collection that no role's argument specification names."""


def hosts_of(inventory: Inventory) -> dict[str, Host]:
    """Every host of the inventory, by name."""
    found = {}
    for name in inventory.groups.get("all", ()):
        values = inventory.host_variables.get(name, {})
        address = values.get("slipway_address") or values.get("ansible_host") or name
        cores = values.get("slipway_cores")
        found[name] = Host(
            name=name,
            address=str(address),
            groups=frozenset(group for group, names in inventory.groups.items() if name in names),
            cores=None if cores is None else int(cores),
            http_port=int(values.get("nginx_http_port") or HTTP_PORT),
            https_port=int(values.get("nginx_https_port") or HTTPS_PORT),
            has_firewall=_is_on(values.get("firewall_enabled")),
            has_hsts=str(values.get("nginx_hsts_seconds")) != "0",
            has_redis_persistence=_is_on(values.get("redis_persistence_enabled")),
            health_options=values.get("slipway_health_options") or {},
        )
    return found


def _is_on(value: Any) -> bool:
    """Of a switch that is on unless it is told otherwise; an extra variable arrives as text."""
    return value is None or str(value).lower() not in ("false", "no", "off", "0")


def redis_layout(inventory: Inventory, hosts: Mapping[str, Host]) -> RedisLayout | None:
    """Where Redis runs: a cluster over three hosts or more unless told otherwise, else a single instance."""
    names = list(inventory.groups.get("redis", ()))
    if not names:
        return None
    values = inventory.variables
    mode = values.get("slipway_redis_mode") or ("cluster" if len(names) >= CLUSTER_MASTERS_MIN else "single")
    port = int(values.get("slipway_redis_port") or REDIS_PORT)
    if mode == "single":
        first = hosts[names[0]]
        return RedisLayout("single", (Endpoint(first.name, first.address, port),), 0)
    replicas = values.get("slipway_redis_replicas")
    replicas = 1 if replicas is None else int(replicas)
    each = int(values.get("slipway_redis_instances_per_host") or replicas + 1)
    nodes = tuple(Endpoint(name, hosts[name].address, number) for number in range(port, port + each) for name in names)
    return RedisLayout("cluster", nodes, replicas)


def applications_of(inventory: Inventory) -> tuple[Application, ...]:
    """The entries of ``slipway_apps``, in their order, each with the archive that its source was made into."""
    made = inventory.variables.get("slipway_artifacts") or {}
    return tuple(
        parse(name, {**entry, **_archive(made[name], entry)} if name in made else entry)
        for name, entry in (inventory.variables.get("slipway_apps") or {}).items()
    )


def _archive(made: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "artifact": made["path"],
        "artifact_sha256": made["sha256"],
        "release": entry.get("release") or made["release"],
    }


def build(inventory: Inventory) -> Topology:
    """The topology of a valid inventory; call :func:`validate.inventory_findings` first."""
    hosts = hosts_of(inventory)
    writer = None
    for primary in inventory.groups.get("postgresql", ()):
        port = int(inventory.variables.get("slipway_postgresql_port") or POSTGRESQL_PORT)
        writer = Endpoint(primary, hosts[primary].address, port)
    return Topology(
        hosts=hosts,
        applications=applications_of(inventory),
        postgresql_writer=writer,
        # Replicas and a pooler will stand behind this address; applications need not know.
        postgresql_reader=writer,
        redis=redis_layout(inventory, hosts),
        edge_address=inventory.variables.get("slipway_edge_address") or None,
    )
