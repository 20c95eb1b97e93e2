"""A stack on which every rule passes, as a report and a topology, and ways to spoil it."""

from __future__ import annotations

from ansible_collections.slipway.stack.plugins.module_utils.health.specification import parse_checks
from ansible_collections.slipway.stack.plugins.module_utils.topology.build import build
from ansible_collections.slipway.stack.plugins.module_utils.topology.checks import health_checks
from ansible_collections.slipway.stack.tests.unit.plugins.module_utils.topology.examples import (
    MAILER,
    SHOP,
    inventory,
)

CHAT = {
    **SHOP,
    "group": "chat",
    "port": 4000,
    "instances": 1,
    "single_instance": True,
    "server_names": ["chat.example.org"],
    "locations": [{"path": "/ws", "kind": "websocket"}, {"path": "/api/health/websocket", "kind": "health"}],
}
APPS = {
    "shop": {**SHOP, "locations": CHAT["locations"]},
    "chat": CHAT,
    "mailer": {**MAILER, "required_environment": ["SMTP_HOST"]},
}
GROUPS = {
    "edge": ["edge1", "edge2"],
    "shop": ["app1", "app2"],
    "chat": ["app1", "app2"],
    "postgresql": ["data1"],
    "redis": ["data1", "data2", "data3"],
}
MEASURES = {
    "limits": {"limits": 2, "limits_by_tier": 1, "connections_max": 50},
    "pool": {"members": 1, "taking_members": 1},
    "traffic": {"requests": 5000, "p95_ms": 80.0, "error_percent": 0.0},
    "systemd": {"restarts": 0, "active_seconds": 100000},
    "host": {"memory_percent": 40},
    "postgresql": {"connections_percent": 20},
}
OWN = ("monitoring", "alerting", "backup", "backup_timer", "autoscaling", "restore_drill")


def stack(apps=None, groups=None, host_variables=None, own=OWN, **variables):
    """A topology, and the report of a verification on which every check passed."""
    topology = build(inventory(APPS if apps is None else apps, groups or GROUPS, host_variables, **variables))
    hosts = {}
    for name, host in topology.hosts.items():
        checks = parse_checks(health_checks(topology, host, "/ca.crt"))
        hosts[name] = [result(check.name, check.TYPE, check.part, check.application, check.proves) for check in checks]
        hosts[name].append(result("journal upload", "systemd", "host", "", ["log_aggregation"]))
    last = hosts[list(hosts)[-1]] if hosts else []
    last += [result(word, "http", word, "", [word]) for word in own]
    return report(hosts), topology


def result(name, kind, part, application, proves):
    return {
        "name": name,
        "type": kind,
        "part": part,
        "application": application,
        "proves": list(proves),
        "status": "ok",
        "seen": "as wanted",
        "message": "",
        "next_step": "",
        "measures": dict(MEASURES.get(kind, {})),
    }


def report(hosts):
    """What health_report would make of these results."""
    every = [one for results in hosts.values() for one in results]
    counts = {
        status: sum(one["status"] == status for one in every) for status in ("ok", "warning", "critical", "unknown")
    }
    verdict = "healthy" if every and counts["ok"] == len(every) else "failed"
    return {
        "verdict": verdict,
        "counts": counts,
        "hosts": {name: {"results": results} for name, results in hosts.items()},
    }


def spoilt(whole, matches, change):
    """The report with `change` made to the results that match; where it returns None they are gone."""
    hosts = {
        name: [
            after for one in part["results"] if (after := change(dict(one)) if matches(name, one) else one) is not None
        ]
        for name, part in whole["hosts"].items()
    }
    return report(hosts)


def about(word):
    """Results that prove `word`."""
    return lambda host, one: word in one["proves"]


def broken(one):
    return {**one, "status": "critical", "message": "it is broken", "next_step": "repair it"}


def gone(one):
    return None


def measuring(**measures):
    return lambda one: {**one, "measures": {**one["measures"], **measures}}
