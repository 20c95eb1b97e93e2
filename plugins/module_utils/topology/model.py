# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The topology: hosts, the services they carry, and the applications spread over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_INSTANCES = "max"
"""Value of an application's ``instances`` that means one process per core."""

SERVICE_GROUPS = ("edge", "postgresql", "redis", "etcd", "monitoring", "backup")
"""Inventory groups with a fixed meaning; every other group that is used belongs to an application."""


class TopologyError(ValueError):
    """The inventory can't be turned into a topology; the message names the variable and the fix."""


@dataclass(frozen=True)
class Host:
    """One server, as the inventory describes it.

    ``address`` is an IP address. ``cores`` is what ``slipway_cores`` declares or what the host's facts say, and None
    where neither is known; only an application with ``instances: max`` needs it.
    """

    name: str
    address: str
    groups: frozenset[str]
    cores: int | None = None
    http_port: int = 80
    https_port: int = 443
    has_firewall: bool = True
    has_hsts: bool = True
    has_redis_persistence: bool = True
    health_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    """Options of health checks that the host has otherwise, by type of check."""


@dataclass(frozen=True)
class Database:
    """A PostgreSQL database and the role that owns it."""

    name: str
    owner: str
    extensions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Application:
    """One entry of ``slipway_apps``, with every default filled in.

    ``spec`` holds all fields of the entry, keyed as ``APP_FIELDS`` names them; ``memory_limit_chosen`` tells
    whether the entry gave ``memory_limit_mb`` itself.
    """

    name: str
    group: str
    kind: str
    port: int | None
    instances: int | str
    single_instance: bool
    database: Database | None
    redis: bool
    memory_limit_chosen: bool
    spec: Mapping[str, Any]

    @property
    def is_served(self) -> bool:
        """Whether clients reach it through the edge."""
        return self.kind != "worker"

    @property
    def certificate_mode(self) -> str:
        """``own`` for the edge host's certificate, else ``acme`` or ``given``."""
        certificate = self.spec["certificate"]
        return "given" if isinstance(certificate, Mapping) else str(certificate)


def bracketed(address: str) -> str:
    """An address as URLs have it: IPv6 in brackets."""
    return f"[{address}]" if ":" in address else address


@dataclass(frozen=True)
class Endpoint:
    """Where a service answers."""

    host: str
    address: str
    port: int

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def authority(self) -> str:
        """Address and port as URLs have them, an IPv6 address in brackets."""
        return f"{bracketed(self.address)}:{self.port}"


@dataclass(frozen=True)
class RedisLayout:
    """How Redis is spread: ``mode`` is ``single`` or ``cluster``; ``replicas`` counts those of each master."""

    mode: str
    nodes: tuple[Endpoint, ...]
    replicas: int


@dataclass(frozen=True)
class Topology:
    """The whole stack. Built by :func:`build.build`, read by :mod:`view` and :mod:`checks`."""

    hosts: Mapping[str, Host]
    applications: tuple[Application, ...]
    postgresql_writer: Endpoint | None
    postgresql_reader: Endpoint | None
    redis: RedisLayout | None
    edge_address: str | None = None
    """Address with prefix length that the edges share, such as 192.0.2.10/24; one of them answers for it."""

    def members(self, group: str) -> tuple[Host, ...]:
        """Hosts of an inventory group, in the inventory's order."""
        return tuple(host for host in self.hosts.values() if group in host.groups)

    def instances_on(self, app: Application, host: Host) -> tuple[int, ...]:
        """The application's instances on one host: ports, or 1..N for a worker.

        Raises :class:`TopologyError` where the number depends on cores that nobody declared.
        """
        if app.group not in host.groups:
            return ()
        if app.single_instance:
            # Its state is in its memory: one process in the whole fleet, on the group's first host.
            count = 1 if self.members(app.group)[0].name == host.name else 0
        elif app.instances == MAX_INSTANCES:
            if host.cores is None:
                raise TopologyError(
                    f"slipway_apps.{app.name}.instances is 'max', and the number of cores of {host.name} is not known: "
                    f"declare slipway_cores for {host.name}, or give instances as a number"
                )
            count = host.cores
        else:
            count = int(app.instances)
        first = 1 if app.port is None else app.port
        return tuple(range(first, first + count))

    def pool(self, app: Application) -> tuple[Endpoint, ...]:
        """Every member of the application's upstream pool."""
        return tuple(
            Endpoint(host.name, host.address, port)
            for host in self.members(app.group)
            for port in self.instances_on(app, host)
        )
