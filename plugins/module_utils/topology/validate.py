# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with an inventory, all of it at once, before any host is touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from posixpath import normpath
from typing import Any

from ..host.findings import ERROR, Finding
from .applications import near, problems
from .build import (
    CLUSTER_MASTERS_MIN,
    Inventory,
    applications_of,
    build,
    hosts_of,
    postgresql_primary,
    redis_layout,
)
from .model import SERVICE_GROUPS, TopologyError

EVERY_HOST = ""
"""The host of a finding about a variable that all hosts share."""


def _error(host: str, variable: str, received: Any, expected: str, fix: str) -> Finding:
    return Finding(ERROR, host, variable, str(received), expected, fix)


def near_misses(names: Mapping[str, Iterable[str]], known: frozenset[str]) -> Iterator[Finding]:
    """Variables, given per host, that look like a slip of one of the collection's own.

    A user's own variable with the same prefix stays allowed: only a name within two edits
    of a public one is refused.
    """
    for host, own in names.items():
        for name in sorted(own):
            meant = _meant(name, known)
            if meant:
                yield _error(host, name, name, f"{meant}, or a name less like it", f"rename {name} to {meant}")


@lru_cache(maxsize=4096)
def _meant(name: str, known: frozenset[str]) -> str | None:
    """The public variable that `name` is a slip of. Internal names and Ansible's own are never one."""
    if name in known or name.startswith(("_", "ansible_")):
        return None
    meant = near(name, known)
    return meant if meant and _distance(name, meant) <= 2 else None


def _distance(one: str, other: str) -> int:
    """Edits between two names: insertions, deletions, substitutions and swaps of neighbours."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        previous, before = before, row
        row = [i]
        for j, right in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (left != right))
            if i > 1 and j > 1 and left == other[j - 2] and one[i - 2] == right:
                cost = min(cost, previous[j - 2] + 1)
            row.append(cost)
    return row[-1]


def _application_findings(inventory: Inventory) -> Iterator[Finding]:
    apps = inventory.variables.get("slipway_apps")
    if apps is None:
        return
    if not isinstance(apps, Mapping):
        yield _error(EVERY_HOST, "slipway_apps", apps, "a mapping of application names", "see docs/inventory.md")
        return
    for name, entry in apps.items():
        for problem in problems(name, entry):
            variable = f"slipway_apps.{problem.field}"
            yield _error(EVERY_HOST, variable, problem.received, problem.expected, problem.fix)
        group = entry.get("group") if isinstance(entry, Mapping) else None
        if not isinstance(group, str):
            continue
        variable = f"slipway_apps.{name}.group"
        if group in SERVICE_GROUPS:
            yield _error(EVERY_HOST, variable, group, "a group of the application's own", f"name a group after {name}")
        elif not inventory.groups.get(group):
            what = "is not a group of the inventory" if group not in inventory.groups else "has no hosts"
            yield _error(
                EVERY_HOST,
                variable,
                f"{group} ({what})",
                "an inventory group with at least one host",
                f"put a host into the group {group}",
            )


def _service_findings(inventory: Inventory) -> Iterator[Finding]:
    apps = applications_of(inventory)
    hosts = hosts_of(inventory)
    served = [app.name for app in apps if app.is_served]
    if served and not inventory.groups.get("edge"):
        yield _error(EVERY_HOST, "groups.edge", "no hosts", "a host for " + ", ".join(served), "fill the group edge")
    if any(app.database for app in apps) and not inventory.groups.get("postgresql"):
        yield _error(EVERY_HOST, "groups.postgresql", "no hosts", "a database host", "fill the group postgresql")
    if any(app.redis for app in apps) and not inventory.groups.get("redis"):
        yield _error(EVERY_HOST, "groups.redis", "no hosts", "a host for Redis", "fill the group redis")
    servers = inventory.groups.get("postgresql", ())
    if len(servers) > 1 and postgresql_primary(inventory) is None:
        yield _error(
            EVERY_HOST,
            "slipway_postgresql_role",
            f"no single primary among {', '.join(servers)}",
            "primary on exactly one host of the group postgresql",
            "set slipway_postgresql_role: primary for that host",
        )
    elif len(servers) > 1:
        yield _error(
            EVERY_HOST,
            "groups.postgresql",
            ", ".join(servers),
            "one host: replicas are not provided yet",
            "leave one host in the group postgresql",
        )
    mode = inventory.variables.get("slipway_redis_mode")
    if mode not in (None, "single", "cluster"):
        yield _error(EVERY_HOST, "slipway_redis_mode", mode, "single or cluster", "correct slipway_redis_mode")
        return
    layout = redis_layout(inventory, hosts)
    if layout and layout.mode == "cluster":
        masters = len(layout.nodes) // (layout.replicas + 1)
        if masters < CLUSTER_MASTERS_MIN:
            yield _error(
                EVERY_HOST,
                "groups.redis",
                f"{len(layout.nodes)} instances with {layout.replicas} replicas each make {masters} masters",
                f"{CLUSTER_MASTERS_MIN} masters or more",
                "add hosts, raise slipway_redis_instances_per_host, or set slipway_redis_mode: single",
            )


def _port_findings(inventory: Inventory) -> Iterator[Finding]:
    """Two programs that would listen on one port of one host."""
    for host, ports in wanted_ports(inventory).items():
        seen: dict[int, str] = {}
        for port, purpose, _units in ports:
            if port > 65535:
                yield _error(host, purpose, port, "ports from 1 to 65535", "choose a lower first port")
            elif port in seen:
                yield _error(
                    host, purpose, port, f"a port that {seen[port]} does not use", "choose ports that do not overlap"
                )
            seen.setdefault(port, purpose)


WantedPort = tuple[int, str, str]
"""A port, the variable behind it, and a pattern of the units that may hold it already."""


def wanted_ports(inventory: Inventory) -> dict[str, list[WantedPort]]:
    """For each host the ports that the stack will listen on.

    An application whose instances can't be counted yet (``max`` without cores) is left out.
    """
    topology = build(inventory)
    wanted: dict[str, list[WantedPort]] = {name: [] for name in topology.hosts}
    for host in topology.members("edge"):
        wanted[host.name] += [
            (80, "nginx_http_port", "nginx.service"),
            (443, "nginx_https_port", "nginx.service"),
        ]
    if topology.postgresql_writer:
        writer = topology.postgresql_writer
        wanted[writer.host].append((writer.port, "slipway_postgresql_port", "postgresql@*.service"))
    for node in topology.redis.nodes if topology.redis else ():
        wanted[node.host].append((node.port, "slipway_redis_port", "*redis*.service"))
    for app in topology.applications:
        if not app.is_served:
            continue
        for host in topology.members(app.group):
            try:
                ports = topology.instances_on(app, host)
            except TopologyError:
                continue
            units = f"slipway-{app.name}@*.service"
            wanted[host.name] += [(port, f"slipway_apps.{app.name}.port", units) for port in ports]
    return wanted


def _host_findings(inventory: Inventory) -> Iterator[Finding]:
    for name, values in inventory.host_variables.items():
        cores = values.get("slipway_cores")
        if cores is not None and (isinstance(cores, bool) or not str(cores).isdigit() or int(cores) < 1):
            yield _error(name, "slipway_cores", cores, "a whole number of 1 or more", "correct slipway_cores")
        directory = values.get("postgresql_data_directory")
        if directory is not None and not _is_own_directory(directory):
            yield _error(
                name,
                "postgresql_data_directory",
                repr(directory),
                "an absolute directory of its own, such as /srv/postgresql/main",
                "correct postgresql_data_directory, or remove it to use the distribution's",
            )
    coordination = inventory.variables.get("slipway_coordination_host")
    if coordination is not None and coordination not in inventory.groups.get("all", ()):
        yield _error(
            EVERY_HOST,
            "slipway_coordination_host",
            coordination,
            "the name of a host in the inventory",
            "name one of the hosts",
        )


def _is_own_directory(path: Any) -> bool:
    """Absolute, normalised, and below a directory of the root: never / or /srv themselves."""
    return isinstance(path, str) and path == normpath(path) and path.startswith("/") and path.count("/") >= 2


def inventory_findings(inventory: Inventory) -> tuple[Finding, ...]:
    """Every error that the inventory alone shows."""
    shape = (*_application_findings(inventory), *_host_findings(inventory))
    if shape:
        # The topology can't be built from what is not understood; its own errors come next time.
        return shape
    return (*_service_findings(inventory), *_port_findings(inventory))
