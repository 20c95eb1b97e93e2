# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The production checklists of the five guides: 58 items, each with its rule, or the evidence that it needs."""

from __future__ import annotations

from collections.abc import Mapping

from . import rules
from .model import Exemption, Item, Rule
from .rules import at_edges, both, declared, every_edge, every_host, seen, where_they_run

GUIDES: Mapping[str, str] = {
    "S0": "Portal: production security",
    "S1": "Workspace: production",
    "S2": "Collaborative editor: deployment",
    "S3": "CRM with websockets: before production",
    "S4": "Platform for six million users",
}

SITE = "ansible-playbook slipway.stack.site"
VERIFY = "ansible-playbook slipway.stack.verify tells what is wrong"


def _own(word: str, what: str) -> str:
    """How to make something seen that no role of the collection brings."""
    return f"set up {what}, and add a check of it to slipway_health_checks with proves: [{word}] (docs/audit.md)"


CERTIFICATE = seen("certificate", f"give each edge its certificates: {SITE} --tags tls,nginx", every_edge)
REDIRECT = seen("redirect", f"{SITE} --tags nginx", at_edges(rules.served))
LIMITS = f"give the application limits (slipway_apps.NAME.limits, docs/edge.md), then {SITE} --tags nginx"
RATE_LIMITS = seen("limits", LIMITS, at_edges(rules.served), rules.limits_requests)
HEADERS = both(
    seen("security_headers", f"{SITE} --tags nginx", at_edges(rules.served)),
    declared(
        rules.served,
        rules.protected,
        "HSTS, nosniff and frame-ancestors are sent",
        "leave out no security header (slipway_apps.NAME.headers, nginx_hsts_seconds)",
    ),
)
ENVIRONMENT_FILE = seen("environment", f"{SITE} --tags app", where_they_run(rules.every))
ENVIRONMENT = both(
    ENVIRONMENT_FILE,
    seen("instance", VERIFY, where_they_run(rules.every)),
    declared(
        rules.every,
        rules.demands,
        "what the environment has to hold was checked before it was written",
        "name the keys that it needs in slipway_apps.NAME.required_environment",
    ),
)
MONITORING = seen("monitoring", _own("monitoring", "monitoring, such as Prometheus, on a host of the group monitoring"))
ALERTING = seen("alerting", _own("alerting", "alerting, such as Alertmanager"))
MONITORING_AND_ALERTING = both(MONITORING, ALERTING)
BACKUP = seen("backup", _own("backup", "backups of the databases (a check of type file tells how old the newest is)"))
BACKUP_AUTOMATION = both(
    BACKUP,
    seen("backup_timer", _own("backup_timer", "a systemd timer that makes the backups (a check of type systemd)")),
)
SCALING = seen("autoscaling", _own("autoscaling", "rules that add and remove hosts"))
DATABASE = both(
    seen("database", VERIFY, rules.the_writer),
    seen("database_login", VERIFY, where_they_run(rules.with_database)),
)
WEBSOCKETS = at_edges(rules.with_websockets)
WEBSOCKET_PATH = "name the path in slipway_apps.NAME.locations with kind: websocket"
ORIGINS = seen("websocket_origin", f"{WEBSOCKET_PATH}, then {SITE} --tags nginx", WEBSOCKETS)
CORS = seen("cors", f"allow origins by name (slipway_apps.NAME.cors), then {SITE} --tags nginx", at_edges(rules.served))


def _load_test(identity: str, section: str, text: str) -> Item:
    return Item(
        identity,
        section,
        text,
        needs="the report of a load test against the goals that were set",
        valid_days=180,
        seen_as="load_test",
    )


def _automatic(identity: str, section: str, text: str, rule: Rule, unless: Exemption | None = None) -> Item:
    return Item(identity, section, text, rule, unless=unless)


S0 = "Security"
S1 = "Production"
S2 = "Deployment"
S4 = "Six million users"

ITEMS: tuple[Item, ...] = (
    _automatic("S0-1", S0, "HTTPS with valid certificates", both(CERTIFICATE, REDIRECT), rules.nothing_served),
    _automatic("S0-2", S0, "Requests limited at the edge", RATE_LIMITS, rules.nothing_served),
    _automatic(
        "S0-3",
        S0,
        "Connections limited per address",
        seen(
            "limits",
            LIMITS.replace("limits (", "a limit of connections (connections_max; "),
            at_edges(rules.served),
            rules.limits_connections,
        ),
        rules.nothing_served,
    ),
    _automatic("S0-4", S0, "Security headers sent", HEADERS, rules.nothing_served),
    _automatic("S0-5", S0, "Environment variables kept secret", ENVIRONMENT_FILE),
    Item(
        "S0-6",
        S0,
        "Database credentials rotated",
        needs="when the passwords of the databases were last changed, and by whom",
        valid_days=90,
        seen_as="rotation",
        unless=rules.no_data,
    ),
    _automatic(
        "S0-7",
        S0,
        "Firewall rules configured",
        seen("firewall", f"set firewall_enabled, then {SITE} --tags firewall", every_host),
    ),
    _automatic("S0-8", S0, "Log rotation enabled", seen("log_rotation", f"{SITE} --tags os_tuning,nginx", every_host)),
    _automatic("S0-9", S0, "Monitoring and alerting set up", MONITORING_AND_ALERTING),
    _automatic("S1-1", S1, "Environment variables configured", ENVIRONMENT),
    Item(
        "S1-2",
        S1,
        "Database indexes created",
        needs="a review of the slow queries and of the indexes that serve them",
        valid_days=180,
        seen_as="indexes",
        unless=rules.no_database,
    ),
    _automatic("S1-3", S1, "TLS certificates installed", CERTIFICATE, rules.nothing_served),
    _automatic("S1-4", S1, "Health checks passing", rules.healthy),
    _automatic("S1-5", S1, "Monitoring configured", MONITORING),
    _automatic("S1-6", S1, "Backup strategy implemented", BACKUP, rules.no_data),
    Item(
        "S1-7",
        S1,
        "Security scan completed",
        needs="the report of a scan of hosts and application, and what became of its findings",
        valid_days=90,
        seen_as="security_scan",
    ),
    _load_test("S1-8", S1, "Performance testing done"),
    Item("S1-9", S1, "Documentation updated", needs="where the documentation is, and who last went over it"),
    Item("S1-10", S1, "Team trained on deployment", needs="who was trained, when and in what"),
    _automatic("S2-1", S2, "All environment variables set", ENVIRONMENT),
    _automatic("S2-2", S2, "TLS certificates configured", CERTIFICATE, rules.nothing_served),
    Item(
        "S2-3",
        S2,
        "Database migrations set up",
        needs="how migrations run, and the last one that did",
        seen_as="migrations",
        unless=rules.no_database,
    ),
    _automatic(
        "S2-4",
        S2,
        "Redis persistence configured",
        seen("persistence", f"leave redis_persistence_enabled on, then {SITE} --tags redis", rules.redis_hosts),
        rules.no_redis,
    ),
    _automatic("S2-5", S2, "Monitoring and alerting set up", MONITORING_AND_ALERTING),
    _automatic(
        "S2-6",
        S2,
        "Logs collected in one place",
        seen("log_aggregation", _own("log_aggregation", "a shipper of logs on every host"), every_host),
    ),
    Item(
        "S2-7",
        S2,
        "Failover scenarios tested",
        needs="which hosts were stopped, what users noticed, and how long it took",
        valid_days=180,
        seen_as="failover_test",
        unless=rules.one_host,
    ),
    _load_test("S2-8", S2, "Load tested with the traffic expected"),
    _automatic("S2-9", S2, "Backups automated", BACKUP_AUTOMATION, rules.no_data),
    Item("S2-10", S2, "Incident response documented", needs="where the procedures are, and who is called"),
    Item("S2-11", S2, "CI/CD pipeline set up", needs="the pipeline that tests and ships the application"),
    _automatic("S2-12", S2, "Auto-scaling rules configured", SCALING, rules.nothing_to_scale),
    _automatic(
        "S2-13",
        S2,
        "Disaster recovery tested",
        seen("restore_drill", _own("restore_drill", "a drill that restores the newest backup")),
        rules.no_data,
    ),
    _automatic(
        "S3-1",
        "Infrastructure",
        "Deployed as a single instance",
        seen("single_instance", SITE, at_edges(rules.single), rules.one_member),
        rules.nothing_single,
    ),
    _automatic(
        "S3-2",
        "Infrastructure",
        "Database connections sized appropriately",
        seen("database", f"{VERIFY}, or raise postgresql_max_connections", rules.the_writer, rules.sized),
        rules.no_database,
    ),
    _automatic("S3-3", "Infrastructure", "Origins of websockets configured", ORIGINS, rules.no_websockets),
    _automatic(
        "S3-4",
        "Infrastructure",
        "Session affinity of the load balancer",
        both(
            seen("websocket", WEBSOCKET_PATH, WEBSOCKETS),
            seen("pool", VERIFY, WEBSOCKETS),
            declared(
                rules.with_websockets,
                rules.by_client,
                "a websocket goes by a hash of its client to one member",
                VERIFY,
            ),
        ),
        rules.no_affinity,
    ),
    _automatic(
        "S3-5",
        "Monitoring",
        "Metrics of websocket connections enabled",
        seen(
            "websocket_metrics",
            "let the program tell connectedClients at /api/health/websocket and name that path in its locations with "
            "kind: health, or add a check of its own metrics with proves: [websocket_metrics] and application",
            WEBSOCKETS,
        ),
        rules.no_websockets,
    ),
    _automatic(
        "S3-6",
        "Monitoring",
        "Alerts on memory configured",
        both(seen("resources", VERIFY, every_host), ALERTING),
    ),
    _automatic(
        "S3-7",
        "Monitoring",
        "Error rates of websocket routes watched",
        both(seen("traffic", VERIFY, WEBSOCKETS), ALERTING),
        rules.no_websockets,
    ),
    _load_test("S3-8", "Monitoring", "Performance testing completed"),
    Item(
        "S3-9",
        "Security",
        "Websockets authenticated",
        needs="how the program refuses a websocket without a session (or a websocket check with refused: true)",
        seen_as="websocket_authentication",
        unless=rules.no_websockets,
    ),
    _automatic("S3-10", "Security", "Requests limited", RATE_LIMITS, rules.nothing_served),
    _automatic(
        "S3-11",
        "Security",
        "Origins restricted to those of production",
        both(
            CORS,
            declared(
                rules.served,
                rules.own_origins,
                "no origin but its own, or https origins by name",
                "name https origins of production alone in slipway_apps.NAME.cors and websocket_origins",
            ),
        ),
        rules.nothing_served,
    ),
    _automatic(
        "S3-12",
        "Security",
        "TLS for websockets",
        both(CERTIFICATE, seen("websocket", WEBSOCKET_PATH, WEBSOCKETS)),
        rules.no_websockets,
    ),
    Item(
        "S3-13",
        "Documentation",
        "Operations trained on the single instance",
        needs="who knows that a second instance would lose messages, and that deploys need a window",
        unless=rules.nothing_single,
    ),
    Item("S3-14", "Documentation", "Deployments documented", needs="where it is written how a release is shipped"),
    Item(
        "S3-15", "Documentation", "Rollbacks defined", needs="where it is written when and how a release is taken back"
    ),
    Item("S3-16", "Documentation", "Runbooks of monitoring written", needs="where the runbook of each alert is"),
    _automatic(
        "S4-1",
        S4,
        "No memory leaks",
        seen(
            "instance",
            "audit again when each instance has run for a day without a restart; until then look for what it keeps",
            where_they_run(rules.every),
            rules.no_leak,
        ),
    ),
    _automatic("S4-2", S4, "Database configured for its load", DATABASE, rules.no_database),
    _automatic("S4-3", S4, "Caching system in place", seen("redis", VERIFY, rules.redis_hosts), rules.no_redis),
    _automatic(
        "S4-4",
        S4,
        "Requests limited by kind of user",
        seen(
            "limits",
            "give each application a limit by: user with tiers (slipway_apps.NAME.limits and users, docs/edge.md)",
            at_edges(rules.served),
            rules.limits_by_tier,
        ),
        rules.nothing_served,
    ),
    _automatic(
        "S4-5",
        S4,
        "Middleware in place: headers, CORS, compression",
        both(HEADERS, CORS, seen("compression", f"{SITE} --tags nginx", at_edges(rules.served))),
        rules.nothing_served,
    ),
    _automatic("S4-6", S4, "Auto-scaling configured", SCALING, rules.nothing_to_scale),
    _automatic("S4-7", S4, "Monitoring and alerting", MONITORING_AND_ALERTING),
    _load_test("S4-8", S4, "Load testing completed"),
    Item(
        "S4-9",
        S4,
        "Security review passed",
        needs="the review's result, and who made it",
        valid_days=180,
        seen_as="security_review",
    ),
    _automatic(
        "S4-10",
        S4,
        "Performance targets met",
        seen(
            "traffic",
            "audit again under the usual load; where answers are slow, look at database and hosts",
            at_edges(rules.served),
            rules.targets,
        ),
        rules.nothing_served,
    ),
)
"""In the guides' order."""

BY_ID: Mapping[str, Item] = {item.identity: item for item in ITEMS}
AUTOMATIC = sum(item.rule is not None for item in ITEMS)
"""How many of them need no operator's evidence."""
