# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ports that the stack listens on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .model import Host, Topology, TopologyError

REDIS_BUS_OFFSET = 10000
"""A cluster node talks to the others on its port plus this (Redis's own rule)."""


@dataclass(frozen=True)
class WantedPort:
    """A port, the variable behind it, and a pattern of the units that may hold it already."""

    port: int
    variable: str
    units: str


def wanted_ports(topology: Topology, host: Host) -> tuple[WantedPort, ...]:
    """The ports of one host. An application whose instances can't be counted yet is left out."""
    return tuple(_wanted(topology, host))


def _wanted(topology: Topology, host: Host) -> Iterator[WantedPort]:
    if "edge" in host.groups:
        yield WantedPort(host.http_port, "nginx_http_port", "nginx.service")
        yield WantedPort(host.https_port, "nginx_https_port", "nginx.service")
    writer = topology.postgresql_writer
    if writer and writer.host == host.name:
        yield WantedPort(writer.port, "slipway_postgresql_port", "postgresql@*.service")
    for node in topology.redis.nodes if topology.redis else ():
        if node.host == host.name:
            yield WantedPort(node.port, "slipway_redis_port", "*redis*.service")
            if topology.redis and topology.redis.mode == "cluster":
                yield WantedPort(node.port + REDIS_BUS_OFFSET, "slipway_redis_port", "*redis*.service")
    for app in topology.applications:
        if app.is_served:
            try:
                ports = topology.instances_on(app, host)
            except TopologyError:
                continue
            for port in ports:
                yield WantedPort(port, f"slipway_apps.{app.name}.port", f"slipway-{app.name}@*.service")
