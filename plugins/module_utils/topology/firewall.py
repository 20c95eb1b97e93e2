# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The firewall matrix: who has to reach which port of a host, for the stack to work.

A host reaches its own addresses over the loopback interface, which the firewall leaves alone: a rule whose only source
would be the host itself is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .model import Host, Topology
from .ports import REDIS_BUS_OFFSET

ANY = "any"

FirewallRule = dict[str, Any]
"""As the role ``firewall`` takes it: name, sources, protocol, ports."""


def firewall_rules(topology: Topology, host: Host) -> list[FirewallRule]:
    """What `host` has to let in, SSH apart."""
    return [
        *_edge(host),
        *_shared_address(topology, host),
        *_applications(topology, host),
        *_postgresql(topology, host),
        *_redis(topology, host),
    ]


def _edge(host: Host) -> Iterator[FirewallRule]:
    # Whoever asks for a certificate's proof (ACME) comes to the first port too, also one edge from the other.
    if "edge" in host.groups:
        yield _rule("edge", [ANY], [host.http_port, host.https_port])


def _shared_address(topology: Topology, host: Host) -> Iterator[FirewallRule]:
    # VRRP authenticates nobody, so only the other edges may speak it.
    if topology.edge_address and "edge" in host.groups:
        yield from _from_hosts("vrrp", host, topology.members("edge"), (), "vrrp")


def _applications(topology: Topology, host: Host) -> Iterator[FirewallRule]:
    edges = topology.members("edge")
    for app in topology.applications:
        ports = topology.instances_on(app, host) if app.is_served else ()
        if ports:
            yield from _from_hosts(f"app-{app.name}", host, edges, ports)


def _postgresql(topology: Topology, host: Host) -> Iterator[FirewallRule]:
    endpoints = (topology.postgresql_writer, topology.postgresql_reader)
    ports = {endpoint.port for endpoint in endpoints if endpoint and endpoint.host == host.name}
    clients = (
        client for app in topology.applications if app.database is not None for client in topology.members(app.group)
    )
    if ports:
        yield from _from_hosts("postgresql", host, clients, sorted(ports))


def _redis(topology: Topology, host: Host) -> Iterator[FirewallRule]:
    layout = topology.redis
    ports = [node.port for node in layout.nodes if node.host == host.name] if layout else []
    if not layout or not ports:
        return
    # Replicas follow their masters, and the coordinator asks all nodes, through the same ports as applications.
    nodes = [topology.hosts[node.host] for node in layout.nodes]
    clients = [client for app in topology.applications if app.redis for client in topology.members(app.group)]
    yield from _from_hosts("redis", host, [*nodes, *clients], ports)
    if layout.mode == "cluster":
        yield from _from_hosts("redis-bus", host, nodes, [port + REDIS_BUS_OFFSET for port in ports])


def _from_hosts(
    name: str, host: Host, sources: Iterable[Host], ports: Iterable[int], protocol: str = "tcp"
) -> Iterator[FirewallRule]:
    addresses = list(dict.fromkeys(source.address for source in sources if source.address != host.address))
    if addresses:
        yield _rule(name, addresses, ports, protocol)


def _rule(name: str, sources: list[str], ports: Iterable[int], protocol: str = "tcp") -> FirewallRule:
    return {"name": name, "sources": sources, "protocol": protocol, "ports": list(ports)}
