# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What one host's roles need to be told, as plain data without secrets."""

from __future__ import annotations

from typing import Any

from .applications import EDGE_OPTIONS
from .checks import health_packages
from .firewall import firewall_rules
from .model import Application, Host, Topology
from .ports import wanted_ports

TLS_DIRECTORY = "/etc/slipway/tls"
CA_FILE = f"{TLS_DIRECTORY}/ca.crt"
"""Where the role ``tls`` puts the authority that applications and checks trust."""


def host_view(topology: Topology, name: str) -> dict[str, Any]:
    """The topology as seen from one host."""
    host = topology.hosts[name]
    return {
        "host": host.name,
        "address": host.address,
        "ca_file": CA_FILE,
        "services": services(topology, name),
        "memory_consumers": _memory_consumers(topology, host),
        "ports": [wanted.port for wanted in wanted_ports(topology, host)],
        "tls_names": _tls_names(topology, host),
        "firewall": firewall_rules(topology, host),
        "certificates": _certificates(topology, host),
        "edge": {
            "applications": served(topology),
            "acme_peers": _acme_peers(topology, host),
            "assets": _assets(topology),
        },
        "keepalived": _keepalived(topology, host),
        "postgresql": _postgresql(topology, host),
        "redis": _redis(topology, host),
        "applications": [
            _application(topology, app, host) for app in topology.applications if topology.instances_on(app, host)
        ],
    }


def services(topology: Topology, name: str) -> list[str]:
    """What a host carries: ``edge``, ``postgresql``, ``redis``, ``app``."""
    host = topology.hosts[name]
    found: list[str] = [group for group in ("edge", "postgresql", "redis") if group in host.groups]
    return [*found, "app"] if any(app.group in host.groups for app in topology.applications) else found


def _memory_consumers(topology: Topology, host: Host) -> list[dict[str, Any]]:
    """What shares the host's memory, for the sizing of the budget."""
    consumers: list[dict[str, Any]] = []
    if "edge" in host.groups:
        consumers.append({"name": "edge"})
    if topology.postgresql_writer and topology.postgresql_writer.host == host.name:
        consumers.append({"name": "postgresql"})
    instances = len(_redis_ports(topology, host))
    if instances:
        consumers.append({"name": "redis", "instances": instances})
    for app in topology.applications:
        count = len(topology.instances_on(app, host))
        if count:
            consumers.append(
                {
                    "name": "app",
                    "app": app.name,
                    "instances": count,
                    "limit_mb": app.spec["memory_limit_mb"],
                    # A limit that was chosen stays; the default gives way where the host is small.
                    "fixed": app.memory_limit_chosen,
                }
            )
    return consumers


def _tls_names(topology: Topology, host: Host) -> list[str]:
    """Names and addresses that the host's certificate has to carry."""
    names = [host.name, host.address, "127.0.0.1", "localhost"]
    if "edge" in host.groups:
        for app in topology.applications:
            if app.certificate_mode == "own":
                names += app.spec["server_names"] or ()
        if topology.edge_address:
            names.append(topology.edge_address.partition("/")[0])
    return list(dict.fromkeys(names))


def _keepalived(topology: Topology, host: Host) -> dict[str, Any] | None:
    """With whom an edge shares which address."""
    if not topology.edge_address or "edge" not in host.groups:
        return None
    return {
        "address": topology.edge_address,
        "own_address": host.address,
        "peers": [edge.address for edge in topology.members("edge") if edge != host],
    }


def served(topology: Topology) -> list[dict[str, Any]]:
    """The applications that clients reach, as the role ``nginx`` takes them."""
    return [_served(topology, app) for app in topology.applications if app.is_served]


def _served(topology: Topology, app: Application) -> dict[str, Any]:
    certificate = {} if app.certificate_mode == "own" else certificate_paths(app)
    return {
        "balance": "hash" if app.kind == "websocket" else "least",
        **{key: app.spec[key] for key in EDGE_OPTIONS if app.spec[key] is not None},
        **certificate,
        "name": app.name,
        "kind": app.kind,
        "members": [
            {"name": member.name, "address": member.address, "port": member.port} for member in topology.pool(app)
        ],
        "single_instance": app.single_instance,
    }


def certificate_paths(app: Application) -> dict[str, str]:
    """Where the role ``tls`` puts an application's own certificate and key."""
    return {
        "certificate": f"{TLS_DIRECTORY}/{app.name}.crt",
        "certificate_key": f"{TLS_DIRECTORY}/{app.name}.key",
    }


def _certificates(topology: Topology, host: Host) -> list[dict[str, Any]]:
    """Certificates of applications, beside the host's own, as the role ``tls`` takes them."""
    if "edge" not in host.groups:
        return []
    return [
        {
            "name": app.name,
            "mode": app.certificate_mode,
            "names": list(app.spec["server_names"] or ()),
            **(app.spec["certificate"] if app.certificate_mode == "given" else {}),
        }
        for app in topology.applications
        if app.is_served and app.certificate_mode != "own"
    ]


def _acme_peers(topology: Topology, host: Host) -> list[str]:
    """The other edges: the authority asks any of them for the proof that this one waits for."""
    if not any(app.certificate_mode == "acme" for app in topology.applications):
        return []
    return [edge.address for edge in topology.members("edge") if edge != host]


def _assets(topology: Topology) -> list[dict[str, Any]]:
    """Files of releases that the edge serves itself."""
    return [
        {
            "name": app.name,
            "release": app.spec["release"],
            "artifact": app.spec["artifact"],
            "sha256": app.spec["artifact_sha256"],
            "directories": served_directories(app),
        }
        for app in topology.applications
        if served_directories(app) and app.spec["artifact"]
    ]


def served_directories(app: Application) -> list[str]:
    """Directories of an application's releases that the edge serves itself: those without a leading slash."""
    return sorted(
        {
            location["directory"].rstrip("/")
            for location in app.spec["locations"] or ()
            if location.get("directory") and not location["directory"].startswith("/")
        }
    )


def _postgresql(topology: Topology, host: Host) -> dict[str, Any] | None:
    """Databases, and who may reach them, where this host is the writer."""
    writer = topology.postgresql_writer
    if writer is None or writer.host != host.name:
        return None
    users = [app for app in topology.applications if app.database]
    return {
        "port": writer.port,
        "databases": [
            {"name": app.database.name, "owner": app.database.owner, "extensions": list(app.database.extensions)}
            for app in users
            if app.database
        ],
        "clients": [
            {"database": app.database.name, "user": app.database.owner, "address": client.address}
            for app in users
            if app.database
            # The writer's own address: its health check logs in as the application does.
            for client in dict.fromkeys((*topology.members(app.group), host))
        ],
    }


def _redis_ports(topology: Topology, host: Host) -> list[int]:
    return [node.port for node in topology.redis.nodes if node.host == host.name] if topology.redis else []


def _redis(topology: Topology, host: Host) -> dict[str, Any] | None:
    """The host's Redis instances and the layout they belong to."""
    ports = _redis_ports(topology, host)
    if not topology.redis or not ports:
        return None
    layout = topology.redis
    return {
        "mode": layout.mode,
        "ports": ports,
        "nodes": [{"host": node.host, "address": node.address, "port": node.port} for node in layout.nodes],
        "replicas": layout.replicas,
        "coordinator": layout.nodes[0].host == host.name,
    }


def _application(topology: Topology, app: Application, host: Host) -> dict[str, Any]:
    """An application as the role ``app`` takes it, with the endpoints that go into its environment."""
    described = dict(app.spec)
    writer, reader = topology.postgresql_writer, topology.postgresql_reader
    described.update(
        name=app.name,
        health_packages=health_packages(app),
        instances=list(topology.instances_on(app, host)),
        listen_address=host.address,
        database=None
        if not app.database or not writer or not reader
        else {
            "name": app.database.name,
            "user": app.database.owner,
            "writer": writer.authority,
            "reader": reader.authority,
        },
        redis=None
        if not app.redis or not topology.redis
        else {
            "mode": topology.redis.mode,
            "nodes": [node.authority for node in topology.redis.nodes],
        },
    )
    return described
