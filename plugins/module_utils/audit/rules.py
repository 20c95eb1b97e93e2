# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rules that decide items of the checklists, and when an item does not apply.

Most are made of two: what was *seen* (results of checks, all of them ok, at every place where there has to be one), and
what is *declared* of each application. None passes where nothing was seen or nothing is declared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ..topology.checks import HSTS, security_headers, websocket_paths
from ..topology.model import Application, Topology
from .model import Facts, Found, Place, Rule, quoted, shortened

Places = Callable[[Topology], Iterable[Place]]
Applications = Callable[[Topology], list[Application]]

DAY_SECONDS = 86400
P95_MS = 200
ERROR_PERCENT = 0.1
REQUESTS_MIN = 100
"""Targets of S4: 95 % of the answers within 200 ms, errors below 0.1 %; of so many requests that it means something."""


# Where something has to be seen ------------------------------------------------------------------------------------


def anywhere(topology: Topology) -> Iterable[Place]:
    """One result is enough, wherever it is from."""
    return ()


def every_host(topology: Topology) -> Iterable[Place]:
    return [(name, "") for name in topology.hosts]


def every_edge(topology: Topology) -> Iterable[Place]:
    return [(edge.name, "") for edge in topology.members("edge")]


def at_edges(applications: Applications) -> Places:
    """Each application at each edge."""
    return lambda topology: [
        (edge.name, app.name) for edge in topology.members("edge") for app in applications(topology)
    ]


def where_they_run(applications: Applications) -> Places:
    """Each application on each of its hosts."""
    return lambda topology: [
        (host.name, app.name)
        for app in applications(topology)
        for host in topology.members(app.group)[: 1 if app.single_instance else None]
    ]


def the_writer(topology: Topology) -> Iterable[Place]:
    """The host of PostgreSQL, for each application with a database."""
    writer = topology.postgresql_writer
    return [(writer.host, app.name) for app in with_database(topology)] if writer else ()


def redis_hosts(topology: Topology) -> Iterable[Place]:
    return [(node.host, "") for node in topology.redis.nodes] if topology.redis else ()


# Which applications ------------------------------------------------------------------------------------------------


def every(topology: Topology) -> list[Application]:
    return list(topology.applications)


def served(topology: Topology) -> list[Application]:
    return [app for app in topology.applications if app.is_served]


def with_database(topology: Topology) -> list[Application]:
    return [app for app in topology.applications if app.database]


def with_websockets(topology: Topology) -> list[Application]:
    return [app for app in served(topology) if websocket_paths(app)]


def single(topology: Topology) -> list[Application]:
    return [app for app in topology.applications if app.single_instance]


# When an item does not apply ---------------------------------------------------------------------------------------


def nothing_served(topology: Topology) -> str:
    return "" if served(topology) else "no application is reached by clients"


def no_database(topology: Topology) -> str:
    return "" if with_database(topology) else "no application has a database"


def no_redis(topology: Topology) -> str:
    return "" if topology.redis else "there is no Redis"


def no_data(topology: Topology) -> str:
    return "" if with_database(topology) or topology.redis else "there is neither a database nor Redis"


def no_websockets(topology: Topology) -> str:
    return "" if with_websockets(topology) else "no application has websockets"


def nothing_single(topology: Topology) -> str:
    if single(topology):
        return ""
    return "no application is declared single_instance: none keeps its state in its memory"


def one_host(topology: Topology) -> str:
    return "one server: no other could take over" if len(topology.hosts) == 1 else ""


def nothing_to_scale(topology: Topology) -> str:
    """Where a second instance is refused, or there is no second host for it."""
    if topology.applications and all(app.single_instance for app in topology.applications):
        return "every application is declared single_instance, of which a second is refused"
    return "one server: there is none to scale to" if len(topology.hosts) == 1 else ""


def no_affinity(topology: Topology) -> str:
    """Affinity means something where a client could meet another member next time."""
    if not with_websockets(topology):
        return "no application has websockets"
    if any(len(topology.pool(app)) > 1 for app in with_websockets(topology)):
        return ""
    return "every websocket has one member to go to"


# Rules -------------------------------------------------------------------------------------------------------------


def seen(
    word: str,
    step: str,
    places: Places = anywhere,
    measured: Callable[[Mapping[str, float]], str] | None = None,
) -> Rule:
    """All results about ``word`` are ok, and there is one at each of ``places``, and at least one.

    ``measured`` may say what is not enough about a result's measures.
    """

    def rule(facts: Facts) -> Found:
        proofs = facts.proofs(word)
        if not proofs:
            return Found(False, f"nothing was seen: no check about {word.replace('_', ' ')} gave a result", step)
        bad = [(host, result) for host, result in proofs if result["status"] != "ok"]
        if bad:
            steps = dict.fromkeys(result["next_step"] for _host, result in bad if result["next_step"])
            return Found(False, quoted(bad), "; ".join(steps) or step)
        met = {(host, name) for host, result in proofs for name in ("", str(result.get("application", "")))}
        missing = [place for place in places(facts.topology) if place not in met]
        if missing:
            return Found(
                False,
                f"nothing was seen at {shortened([_place(place) for place in missing])}",
                f"{step}; ask all hosts, without --limit",
            )
        lacking = [
            f"{host}: {result['name']}: {said}"
            for host, result in proofs
            if measured and (said := measured(result.get("measures") or {}))
        ]
        if lacking:
            return Found(False, shortened(lacking, "; "), step)
        return Found(True, quoted(proofs))

    return rule


def _place(place: Place) -> str:
    host, application = place
    return f"{host} for {application}" if application else host


def declared(applications: Applications, lacks: Callable[[Topology, Application], str], fine: str, step: str) -> Rule:
    """Of each application, and there is one, ``lacks`` finds nothing."""

    def rule(facts: Facts) -> Found:
        apps = applications(facts.topology)
        if not apps:
            return Found(False, "no such application is declared", step)
        lacking = [(app, text) for app in apps if (text := lacks(facts.topology, app))]
        if lacking:
            return Found(False, shortened([f"{app.name} {text}" for app, text in lacking], "; "), step)
        return Found(True, f"{', '.join(app.name for app in apps)}: {fine}")

    return rule


def both(*rules: Rule) -> Rule:
    """All of several rules pass."""

    def rule(facts: Facts) -> Found:
        found = [one(facts) for one in rules]
        failed = [one for one in found if not one.passed]
        return Found(
            not failed,
            "; ".join(one.evidence for one in failed or found),
            "; ".join(dict.fromkeys(one.next_step for one in failed)),
        )

    return rule


def healthy(facts: Facts) -> Found:
    """Every check of every host of the inventory is ok."""
    hosts = facts.report.get("hosts") or {}
    missing = [name for name in facts.topology.hosts if not (hosts.get(name) or {}).get("results")]
    counts = facts.report.get("counts") or {}
    total = sum(counts.values())
    evidence = f"{facts.report.get('verdict', 'no verdict')}: {counts.get('ok', 0)} of {total} checks passed"
    if not total or missing:
        at = f", none ran on {shortened(missing)}" if missing else ""
        return Found(False, f"{evidence}{at}", "ask all hosts: ansible-playbook slipway.stack.verify, without --limit")
    evidence += f" on {len(hosts)} host{'' if len(hosts) == 1 else 's'}"
    if facts.report.get("verdict") != "healthy":
        return Found(False, evidence, "ansible-playbook slipway.stack.verify tells what is wrong, and what to do")
    return Found(True, evidence)


def no_leak(measures: Mapping[str, float]) -> str:
    """An instance that was killed or started again, or that has not run for long enough to show a leak."""
    seconds, restarts = measures.get("active_seconds"), measures.get("restarts")
    if seconds is None or restarts is None:
        return "it does not tell how long it has been running"
    if restarts or measures.get("oom_kills"):
        return f"{restarts:.0f} restarts, {measures.get('oom_kills', 0):.0f} processes killed for want of memory"
    return "" if seconds >= DAY_SECONDS else f"it has been running for {seconds / 3600:.1f} h only"


def limits_requests(measures: Mapping[str, float]) -> str:
    return "" if measures.get("limits") else "no limit of requests refuses anything"


def limits_by_tier(measures: Mapping[str, float]) -> str:
    return "" if measures.get("limits_by_tier") else "no limit goes by user and tier"


def limits_connections(measures: Mapping[str, float]) -> str:
    return "" if measures.get("connections_max") else "any number of connections is allowed"


def sized(measures: Mapping[str, float]) -> str:
    return "" if "connections_percent" in measures else "it does not tell how many connections are in use"


def one_member(measures: Mapping[str, float]) -> str:
    """Of a pool; other checks of a single instance have no such measure."""
    members, taking = measures.get("members", 1), measures.get("taking_members", 1)
    return "" if members == taking == 1 else f"{taking:.0f} of {members:.0f} members take requests, wanted is one"


def targets(measures: Mapping[str, float]) -> str:
    requests, p95, errors = (measures.get(name) for name in ("requests", "p95_ms", "error_percent"))
    if p95 is None or errors is None or (requests or 0) < REQUESTS_MIN:
        return f"{requests or 0:.0f} requests, too few to tell"
    if p95 >= P95_MS or errors >= ERROR_PERCENT:
        return f"95 % within {p95:.0f} ms and {errors:g} % errors; the targets are {P95_MS} ms and {ERROR_PERCENT:g} %"
    return ""


def protected(topology: Topology, app: Application) -> str:
    """The headers that the guides ask for, of which an inventory may have left some out."""
    for edge in topology.members("edge"):
        sent = security_headers(app, edge)
        wanted = [HSTS, "X-Content-Type-Options"]
        lacking = [name for name in wanted if name not in sent]
        if not {"Content-Security-Policy", "X-Frame-Options"} & set(sent):
            lacking.append("Content-Security-Policy or X-Frame-Options")
        if lacking:
            return f"does not send {', '.join(lacking)}"
    return ""


def demands(topology: Topology, app: Application) -> str:
    """What its environment has to have: said, or nothing but the addresses that it is told of its data."""
    spec = app.spec
    if spec["required_environment"] or spec["environment_one_of"] or app.database or app.redis:
        return ""
    return "says nothing of the environment that it needs"


def own_origins(topology: Topology, app: Application) -> str:
    """Pages of other origins: of production, and not just any."""
    cors: Mapping[str, Any] = app.spec["cors"] or {}
    origins = [*(cors.get("origins") or ()), *(app.spec["websocket_origins"] or ())]
    wrong = [origin for origin in origins if origin == "*" or not origin.startswith("https://") or _local(origin)]
    return f"lets in pages of {', '.join(wrong)}" if wrong else ""


def _local(origin: str) -> bool:
    name = urlsplit(origin).hostname or ""
    return name in ("localhost", "::1") or name.startswith("127.") or name.endswith((".localhost", ".local", ".test"))


def by_client(topology: Topology, app: Application) -> str:
    """Websockets always go by a hash of the client or of its cookie: nothing that an inventory says undoes it."""
    return "" if topology.pool(app) else "has no members"
