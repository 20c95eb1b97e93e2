# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with an inventory, all of it at once, before any host is touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_interface
from posixpath import normpath
from typing import Any

from ..deploy.surroundings import hook_findings, notify_findings
from ..host.findings import ERROR, Finding
from ..nginx.applications import findings as unservable
from .applications import near, problems, told
from .build import CLUSTER_MASTERS_MIN, Inventory, applications_of, build, hosts_of, redis_layout
from .health_options import problems as health_option_problems
from .model import SERVICE_GROUPS, Topology, TopologyError
from .ports import wanted_ports
from .view import served

NUMBERS = {
    "slipway_postgresql_port": (1024, 65535),
    # A cluster's bus is 10000 ports above.
    "slipway_redis_port": (1024, 55535),
    "slipway_redis_instances_per_host": (1, 64),
    "slipway_redis_replicas": (0, 5),
}
"""Public numbers, with their smallest and largest value."""

DERIVED = {
    "postgresql_port": "slipway_postgresql_port",
    "postgresql_databases": "slipway_apps",
    "redis_mode": "slipway_redis_mode",
    "redis_ports": "slipway_redis_port",
    "redis_replicas": "slipway_redis_replicas",
    "redis_password": "slipway_redis_password",
    "redis_cluster_nodes": "the group redis",
    "redis_cluster_coordinator": "the group redis",
    "keepalived_address": "slipway_edge_address",
    "keepalived_own_address": "slipway_address",
    "keepalived_peers": "the group edge",
}
"""Role variables that follow from a public one, and which."""

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
    if len(servers) > 1:
        yield _error(
            EVERY_HOST,
            "groups.postgresql",
            ", ".join(servers),
            "one host: replicas are not provided yet",
            "leave one host in the group postgresql",
        )
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
    elif layout and len(inventory.groups["redis"]) > 1:
        yield _error(
            EVERY_HOST,
            "groups.redis",
            ", ".join(inventory.groups["redis"]),
            "one host for a single Redis, three or more for a cluster",
            "leave one host in the group redis, or add hosts",
        )


def _port_findings(topology: Topology) -> Iterator[Finding]:
    """Two programs that would listen on one port of one host."""
    for host in topology.hosts.values():
        seen: dict[int, str] = {}
        for wanted in wanted_ports(topology, host):
            port, purpose = wanted.port, wanted.variable
            if port > 65535:
                yield _error(host.name, purpose, port, "ports from 1 to 65535", "choose a lower first port")
            elif port in seen:
                yield _error(
                    host.name,
                    purpose,
                    port,
                    f"a port that {seen[port]} does not use",
                    "choose ports that do not overlap",
                )
            seen.setdefault(port, purpose)


def _edge_findings(inventory: Inventory, topology: Topology) -> Iterator[Finding]:
    """What nginx would refuse, told before any host is touched."""
    try:
        applications = served(topology)
    except TopologyError:
        # Cores that nobody told; preflight reads them, and the pools are judged by the role then.
        return
    edges = [inventory.host_variables[name] for name in inventory.groups.get("edge", ())]
    texts = [
        text
        for edge in edges
        for text in unservable(
            applications,
            lambda index, name: f"slipway_apps.{name}",
            edge.get("nginx_limits"),
            bool(edge.get("nginx_geoip_database")),
        )
    ]
    # What is wrong for one edge mostly is for all.
    for text in dict.fromkeys(texts):
        problem = told(text)
        yield _error(EVERY_HOST, problem.field, problem.received, problem.expected, problem.fix)


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
        address = values.get("slipway_address") or values.get("ansible_host") or name
        if not _is_address(address):
            yield _error(name, "slipway_address", address, "an IP address, by which hosts reach each other", "set it")
        for problem in health_option_problems(values.get("slipway_health_options")):
            yield _error(name, problem.field, problem.received, problem.expected, problem.fix)
        for variable in ("nginx_http_port", "nginx_https_port"):
            yield from _number(name, variable, values.get(variable), 1, 65535)


def _edge_address_findings(inventory: Inventory) -> Iterator[Finding]:
    given = inventory.variables.get("slipway_edge_address")
    if not given:
        return
    variable = "slipway_edge_address"
    try:
        shared = ip_interface(str(given))
    except ValueError:
        shared = None
    if shared is None or "/" not in str(given):
        yield _error(
            EVERY_HOST, variable, given, "an address with its prefix length, such as 192.0.2.10/24", "correct it"
        )
        return
    edges = inventory.groups.get("edge", ())
    if len(edges) < 2:
        yield _error(
            EVERY_HOST,
            variable,
            given,
            "two hosts or more in the group edge, to share it",
            f"add one, or remove {variable}",
        )
    for host in hosts_of(inventory).values():
        if _is_address(host.address) and ip_address(host.address) == shared.ip:
            yield _error(
                host.name, variable, given, f"an address that no host has: it is {host.name}'s own", "choose another"
            )


def _global_findings(inventory: Inventory) -> Iterator[Finding]:
    yield from _edge_address_findings(inventory)
    named = inventory.variables.get("slipway_coordination_host")
    hosts = inventory.groups.get("all", ())
    if named and named not in hosts:
        yield _error(
            EVERY_HOST,
            "slipway_coordination_host",
            named,
            f"a host of the inventory: {', '.join(hosts)}",
            "correct it, or remove it for the first host of the group edge",
        )
    yield from hook_findings(inventory.variables.get("slipway_deploy_hooks"))
    yield from notify_findings(inventory.variables.get("slipway_deploy_notify"))
    mode = inventory.variables.get("slipway_redis_mode")
    if mode not in (None, "single", "cluster"):
        yield _error(EVERY_HOST, "slipway_redis_mode", mode, "single or cluster", "correct slipway_redis_mode")
    for variable, (low, high) in NUMBERS.items():
        yield from _number(EVERY_HOST, variable, inventory.variables.get(variable), low, high)


def _number(host: str, variable: str, value: Any, low: int, high: int) -> Iterator[Finding]:
    # An extra variable arrives as text.
    is_number = not isinstance(value, bool) and str(value).isdigit() and low <= int(value) <= high
    if value is not None and not is_number:
        yield _error(host, variable, repr(value), f"a whole number from {low} to {high}", f"correct {variable}")


def _is_address(text: Any) -> bool:
    try:
        ip_address(str(text))
    except ValueError:
        return False
    return True


def misplaced(names: Mapping[str, Iterable[str]]) -> Iterator[Finding]:
    """Role variables that the topology sets itself: set in an inventory, they would do nothing."""
    for host, own in names.items():
        for name in sorted(own):
            instead = DERIVED.get(name)
            if instead:
                yield _error(host, name, name, f"{instead}, from which it follows", f"say it in {instead}")


def _is_own_directory(path: Any) -> bool:
    """Absolute, normalised, and below a directory of the root: never / or /srv themselves."""
    return isinstance(path, str) and path == normpath(path) and path.startswith("/") and path.count("/") >= 2


def inventory_findings(inventory: Inventory) -> tuple[Finding, ...]:
    """Every error that the inventory alone shows."""
    shape = (*_application_findings(inventory), *_host_findings(inventory), *_global_findings(inventory))
    if shape:
        # The topology can't be built from what is not understood; its own errors come next time.
        return shape
    services = tuple(_service_findings(inventory))
    if services:
        return services
    topology = build(inventory)
    # nginx would complain of the same ports once more.
    return tuple(_port_findings(topology)) or tuple(_edge_findings(inventory, topology))
