# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The health checks that follow from the topology, for the host that runs them.

Each says in ``part`` which part of the stack it looks at, and in ``proves`` what the audit takes it for.
"""

from __future__ import annotations

from typing import Any

from ..nginx.applications import FIELDS as SERVED_FIELDS
from ..nginx.limits import merged
from ..nginx.security_headers import DEFAULTS as SECURITY_HEADERS
from .health_options import applied, problems
from .model import Application, Host, RedisLayout, Topology, TopologyError, bracketed

Check = dict[str, Any]

FOREIGN_ORIGIN = "https://foreign.invalid"
"""The origin of a page that no application knows: names below .invalid never exist (RFC 6761)."""
WEBSOCKET_METRICS_PATH = "/api/health/websocket"
"""Where S3's kind of program tells how many websockets are open."""
MAINTENANCE_PATH = SERVED_FIELDS["maintenance_path"].default
"""Below it the edge itself has a script, long enough to be compressed."""
HSTS = "Strict-Transport-Security"


def health_checks(topology: Topology, host: Host, ca_file: str) -> list[Check]:
    """Checks that `host` runs: of itself, of its services, and of what its applications depend on.

    Raises :class:`TopologyError` where ``slipway_health_options`` of the host cannot be followed.
    """
    wrong = [
        f"{problem.field} of {host.name} is {problem.received}, expected {problem.expected}: {problem.fix}"
        for problem in problems(host.health_options)
    ]
    if wrong:
        raise TopologyError("\n".join(wrong))
    found = [*_host(host), *_data(topology, host, ca_file)]
    if "edge" in host.groups:
        found += _edge(topology, host, ca_file)
    for app in topology.applications:
        found += _application(topology, app, host, ca_file)
    return applied(found, host.health_options)


def health_packages(app: Application) -> list[str]:
    """Packages by which the checks of an application's hosts log in to its data."""
    return [
        *(["python3-psycopg2"] if app.database else []),
        *(["python3-redis"] if app.redis else []),
    ]


def _host(host: Host) -> list[Check]:
    found: list[Check] = [
        {"type": "host", "name": "resources", "proves": ["resources"]},
        {"type": "systemd", "name": "no failed units"},
        {"type": "systemd", "name": "log rotation", "unit": "logrotate.timer", "proves": ["log_rotation"]},
    ]
    if host.has_firewall:
        found.append({"type": "firewall", "name": "firewall", "proves": ["firewall"]})
    return [{"part": "host", **check} for check in found]


def _edge(topology: Topology, host: Host, ca_file: str) -> list[Check]:
    served = [app for app in topology.applications if app.is_served]
    own = [app for app in served if app.certificate_mode == "own"]
    found: list[Check] = [
        {"type": "systemd", "name": "nginx", "unit": "nginx.service"},
        {
            "type": "systemd",
            "name": "nginx log rotation",
            "unit": "slipway-nginx-logs.timer",
            "proves": ["log_rotation"],
        },
        _certificate("certificate", host, _name(own[0], host) if own else host.address, {"ca_file": ca_file}),
    ]
    found = [{"part": "edge", **check} for check in found]
    for app in served:
        found += [{"part": app.name, "application": app.name, **check} for check in _served(app, host, ca_file)]
    return found


def _served(app: Application, host: Host, ca_file: str) -> list[Check]:
    """An application as clients reach it through this edge."""
    name = bracketed(_name(app, host))
    trust = _trust(app, ca_file)
    through: Check = {"connect_to": f"{bracketed(host.address)}:{host.https_port}", **trust}
    ready = {"type": "http", "url": f"https://{name}{app.spec['readiness_path']}", **through}
    # What the edge adds to an answer it also adds to its own, when no instance gives one.
    answered = {**ready, "status": [200, 502, 503, 504]}
    found: list[Check] = []
    if not trust:
        found.append(_certificate(f"certificate of {app.name}", host, _name(app, host), trust))
    found += [
        {**ready, "name": f"{app.name} through the edge", "proves": ["edge"]},
        {
            "type": "http",
            "name": f"{app.name} redirected to https",
            "url": f"http://{name}{app.spec['readiness_path']}",
            "connect_to": f"{bracketed(host.address)}:{host.http_port}",
            "status": [301, 308],
            "response_headers": {"Location": "^https://"},
            "proves": ["redirect"],
        },
        {
            "type": "limits",
            "name": f"{app.name} limits",
            **({} if merged(None, app.spec["limits"]) else {"requests": False}),
            "connections": _connections(app),
            "proves": ["limits"],
        },
        {
            "type": "pool",
            "name": f"{app.name} pool",
            "proves": ["pool", "single_instance"] if app.single_instance else ["pool"],
        },
        {"type": "traffic", "name": f"{app.name} traffic", "proves": ["traffic"]},
    ]
    headers = security_headers(app, host)
    if headers:
        found.append(
            {
                **answered,
                "name": f"{app.name} security headers",
                "response_headers": dict.fromkeys(headers, r"\S"),
                "proves": ["security_headers"],
            }
        )
    if "*" not in _cors_origins(app):
        found.append(
            {
                **answered,
                "name": f"{app.name} to pages of others",
                "headers": {"Origin": FOREIGN_ORIGIN},
                "response_headers": {"Access-Control-Allow-Origin": None},
                "proves": ["cors"],
            }
        )
    status_path = app.spec["maintenance_path"]
    if status_path is None or status_path:
        found.append(
            {
                **ready,
                "name": f"{app.name} compression",
                "url": f"https://{name}{status_path or MAINTENANCE_PATH}.js",
                "headers": {"Accept-Encoding": "gzip"},
                "response_headers": {"Content-Encoding": "^gzip$"},
                "proves": ["compression"],
            }
        )
    if WEBSOCKET_METRICS_PATH in _paths(app, "health"):
        found.append(
            {
                **ready,
                "name": f"{app.name} websocket metrics",
                "url": f"https://{name}{WEBSOCKET_METRICS_PATH}",
                "json": {"connectedClients": {"ge": 0}},
                "proves": ["websocket_metrics"],
            }
        )
    for path in websocket_paths(app):
        websocket = {"type": "websocket", "url": f"wss://{name}{path}", **through}
        if path != "/":
            # A program that is nothing but websockets may still want a path that nobody told.
            found.append(
                {
                    **websocket,
                    "name": f"{app.name} {path} through the edge",
                    "headers": {"Origin": f"https://{name}"},
                    "proves": ["websocket"],
                }
            )
        if FOREIGN_ORIGIN not in (app.spec["websocket_origins"] or ()):
            found.append(
                {
                    **websocket,
                    "name": f"{app.name} {path} to pages of others",
                    "headers": {"Origin": FOREIGN_ORIGIN},
                    "refused": True,
                    "proves": ["websocket_origin"],
                }
            )
    return found


def _connections(app: Application) -> int:
    most = app.spec["connections_max"]
    return int(SERVED_FIELDS["connections_max"].default if most is None else most)


def security_headers(app: Application, host: Host) -> list[str]:
    """The headers that answers of an application carry: the edge's own that nobody left out."""
    left_out = {name.lower() for name, value in (app.spec["headers"] or {}).items() if value is None}
    names = [*([HSTS] if host.has_hsts else []), *SECURITY_HEADERS]
    return [name for name in names if name.lower() not in left_out]


def _cors_origins(app: Application) -> list[str]:
    return list((app.spec["cors"] or {}).get("origins") or ())


def _paths(app: Application, kind: str) -> list[str]:
    return [location["path"] for location in app.spec["locations"] or () if location.get("kind") == kind]


def websocket_paths(app: Application) -> list[str]:
    """Where an application's websockets are; ``/`` for one that is nothing else and names no path."""
    return _paths(app, "websocket") or (["/"] if app.kind == "websocket" else [])


def _certificate(name: str, host: Host, server_name: str, trust: Check) -> Check:
    return {
        "type": "tls",
        "name": name,
        "host": host.address,
        "port": host.https_port,
        "server_name": server_name,
        "proves": ["certificate"],
        **trust,
    }


def _trust(app: Application, ca_file: str) -> Check:
    """Whom a check trusts: for a public certificate, whom the host's system does."""
    return {"ca_file": ca_file} if app.certificate_mode == "own" else {}


def _name(app: Application, host: Host) -> str:
    """The name to ask the edge for: an exact one, since a wildcard has no host of its own; else the address."""
    return next((name for name in app.spec["server_names"] or () if not name.startswith("*")), host.address)


def _data(topology: Topology, host: Host, ca_file: str) -> list[Check]:
    found: list[Check] = []
    writer, layout = topology.postgresql_writer, topology.redis
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
                "part": "postgresql",
                "proves": ["database"],
            }
            for app in topology.applications
            if app.database
        ]
    own = [node for node in layout.nodes if node.host == host.name] if layout else []
    keeps = host.has_redis_persistence
    found += [
        {
            "type": "redis",
            "name": f"redis {node.port}",
            "host": node.address,
            "port": node.port,
            **({"persistence": "any"} if keeps else {}),
            "part": "redis",
            "proves": ["redis", "persistence"] if keeps else ["redis"],
        }
        for node in own
    ]
    if own and layout and layout.mode == "cluster":
        found.append({**_cluster(layout, "redis cluster"), "part": "redis", "proves": ["redis"]})
    return found


def _application(topology: Topology, app: Application, host: Host, ca_file: str) -> list[Check]:
    instances = topology.instances_on(app, host)
    found: list[Check] = []
    for instance in instances:
        unit = f"slipway-{app.name}@{instance}.service"
        found.append({"type": "systemd", "name": f"{app.name} {instance}", "unit": unit, "proves": ["instance"]})
        found.append(
            {
                "type": "release",
                "name": f"{app.name} {instance} release",
                "root": f"/srv/slipway/{app.name}",
                "unit": unit,
            }
        )
        if app.is_served:
            found.append(
                {
                    "type": "http",
                    "name": f"{app.name} {instance} ready",
                    "url": f"http://{bracketed(host.address)}:{instance}{app.spec['readiness_path']}",
                    "proves": ["ready"],
                }
            )
            found += [_of_the_application(app, host, instance, check) for check in app.spec["health_checks"]]
    if instances:
        found.append(
            {
                "type": "file",
                "name": f"{app.name} environment",
                "path": f"/etc/slipway/{app.name}.env",
                "mode": "0600",
                "owner": "root",
                "proves": ["environment"],
            }
        )
        found += _dependencies(topology, app, ca_file)
    elif app.single_instance and app.group in host.groups:
        # Its state is in one process's memory: a second one, on whichever host, would have another.
        found.append(
            {
                "type": "systemd",
                "name": f"{app.name} runs on another host",
                "unit": f"slipway-{app.name}@{app.port or 1}.service",
                "active": False,
                "proves": ["single_instance"],
            }
        )
    return [{"part": app.name, "application": app.name, **check} for check in found]


def _of_the_application(app: Application, host: Host, instance: int, check: Check) -> Check:
    """One of an application's own ``health_checks``, asked of one of its instances."""
    options = {key: value for key, value in check.items() if key != "path"}
    return {
        "type": "http",
        "name": f"{app.name} {instance} {options.pop('name', check['path'])}",
        "url": f"http://{bracketed(host.address)}:{instance}{check['path']}",
        **options,
    }


def _cluster(layout: RedisLayout, name: str) -> Check:
    return {
        "type": "redis_cluster",
        "name": name,
        "nodes": [node.authority for node in layout.nodes],
        "size": len(layout.nodes),
        "replicas": layout.replicas,
    }


def _dependencies(topology: Topology, app: Application, ca_file: str) -> list[Check]:
    """Logins to an application's data, from where it runs, with its own role."""
    found: list[Check] = []
    if app.database:
        for role, endpoint in (("writer", topology.postgresql_writer), ("reader", topology.postgresql_reader)):
            if endpoint:
                found.append(
                    {
                        "type": "postgresql",
                        "name": f"{app.name} to the {role}",
                        "host": endpoint.address,
                        "port": endpoint.port,
                        "database": app.database.name,
                        "user": app.database.owner,
                        "ca_file": ca_file,
                        **({"writable": True} if role == "writer" else {}),
                        "proves": ["database_login"],
                    }
                )
    layout = topology.redis
    if app.redis and layout:
        name, proves = f"{app.name} to redis", ["redis_login"]
        if layout.mode == "cluster":
            found.append({**_cluster(layout, name), "proves": proves})
        else:
            node = layout.nodes[0]
            found.append(
                {
                    "type": "redis",
                    "name": name,
                    "host": node.address,
                    "port": node.port,
                    "role": "master",
                    "proves": proves,
                }
            )
    return found
