# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The health checks that follow from the topology, for the host that runs them."""

from __future__ import annotations

from typing import Any

from .model import Application, Host, RedisLayout, Topology, bracketed

Check = dict[str, Any]


def health_checks(topology: Topology, host: Host, ca_file: str) -> list[Check]:
    """Checks that `host` runs: of itself, of its services, and of what its applications depend on."""
    found: list[Check] = [
        {"type": "host", "name": "resources"},
        {"type": "systemd", "name": "no failed units"},
    ]
    if "edge" in host.groups:
        found += _edge(topology, host, ca_file)
    found += _data(topology, host, ca_file)
    for app in topology.applications:
        found += _application(topology, app, host)
    return found


def _edge(topology: Topology, host: Host, ca_file: str) -> list[Check]:
    served = [app for app in topology.applications if app.is_served]
    found: list[Check] = [{"type": "systemd", "name": "nginx", "unit": "nginx.service"}]
    own = [app for app in served if app.certificate_mode == "own"]
    found.append(_certificate("certificate", host, _name(own[0], host) if own else host.address, {"ca_file": ca_file}))
    for app in served:
        name = bracketed(_name(app, host))
        trust = _trust(app, ca_file)
        if not trust:
            found.append(_certificate(f"certificate of {app.name}", host, _name(app, host), trust))
        through: Check = {"connect_to": f"{bracketed(host.address)}:{host.https_port}", **trust}
        found.append(
            {
                "type": "http",
                "name": f"{app.name} through the edge",
                "url": f"https://{name}{app.spec['readiness_path']}",
                **through,
            }
        )
        found += [
            {
                "type": "websocket",
                "name": f"{app.name} {path} through the edge",
                "url": f"wss://{name}{path}",
                **through,
            }
            for path in _websocket_paths(app)
        ]
    return found


def _certificate(name: str, host: Host, server_name: str, trust: Check) -> Check:
    return {
        "type": "tls",
        "name": name,
        "host": host.address,
        "port": host.https_port,
        "server_name": server_name,
        **trust,
    }


def _trust(app: Application, ca_file: str) -> Check:
    """Whom a check trusts: for a public certificate, whom the host's system does."""
    return {"ca_file": ca_file} if app.certificate_mode == "own" else {}


def _name(app: Application, host: Host) -> str:
    """The name to ask the edge for: an exact one, since a wildcard has no host of its own; else the address."""
    return next((name for name in app.spec["server_names"] or () if not name.startswith("*")), host.address)


def _websocket_paths(app: Application) -> list[str]:
    return [location["path"] for location in app.spec["locations"] or () if location.get("kind") == "websocket"]


def _data(topology: Topology, host: Host, ca_file: str) -> list[Check]:
    found: list[Check] = []
    writer = topology.postgresql_writer
    if writer and writer.host == host.name:
        found += [
            {
                "type": "postgresql",
                "name": f"database {app.database.name}",
                "host": writer.address,
                "port": writer.port,
                "database": app.database.name,
                "user": app.database.owner,
                "application": app.name,
                "ca_file": ca_file,
                "writable": True,
            }
            for app in topology.applications
            if app.database
        ]
    if topology.redis:
        found += _redis(topology.redis, host)
    return found


def _redis(layout: RedisLayout, host: Host) -> list[Check]:
    found: list[Check] = [
        {"type": "redis", "name": f"redis {node.port}", "host": node.address, "port": node.port}
        for node in layout.nodes
        if node.host == host.name
    ]
    if found and layout.mode == "cluster":
        found.append(
            {
                "type": "redis_cluster",
                "name": "redis cluster",
                "part": "redis",
                "nodes": [f"{bracketed(node.address)}:{node.port}" for node in layout.nodes],
                "size": len(layout.nodes),
                "replicas": layout.replicas,
            }
        )
    return found


def _application(topology: Topology, app: Application, host: Host) -> list[Check]:
    found: list[Check] = []
    for instance in topology.instances_on(app, host):
        found.append(
            {
                "type": "systemd",
                "name": f"{app.name} {instance}",
                "unit": f"slipway-{app.name}@{instance}.service",
            }
        )
        found.append(
            {
                "type": "release",
                "name": f"{app.name} {instance} release",
                "root": f"/srv/slipway/{app.name}",
                "unit": f"slipway-{app.name}@{instance}.service",
            }
        )
        if app.is_served:
            found.append(
                {
                    "type": "http",
                    "name": f"{app.name} {instance} ready",
                    "url": f"http://{bracketed(host.address)}:{instance}{app.spec['readiness_path']}",
                }
            )
    if found and app.database:
        for role, endpoint in (("writer", topology.postgresql_writer), ("reader", topology.postgresql_reader)):
            if endpoint:
                found.append(
                    {
                        "type": "tcp",
                        "name": f"{app.name} to the {role}",
                        "host": endpoint.address,
                        "port": endpoint.port,
                    }
                )
    if found and app.redis and topology.redis:
        found += [
            {"type": "tcp", "name": f"{app.name} to redis {node.name}", "host": node.address, "port": node.port}
            for node in topology.redis.nodes
        ]
    return found
