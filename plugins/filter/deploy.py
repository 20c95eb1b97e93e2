# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the playbooks that bring releases: plain data in and out, the work is done in module_utils/deploy."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime, timezone
from typing import Any

from ansible import context
from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.stack.plugins.module_utils.deploy import plan as planning
from ansible_collections.slipway.stack.plugins.module_utils.deploy.failure import Failure, failure, message
from ansible_collections.slipway.stack.plugins.module_utils.deploy.impact import describe, needed_seconds
from ansible_collections.slipway.stack.plugins.module_utils.deploy.progress import progress, summary, timings
from ansible_collections.slipway.stack.plugins.module_utils.deploy.request import (
    FORWARD,
    VARIABLES,
    Request,
    RequestError,
    limit_findings,
    parse,
)
from ansible_collections.slipway.stack.plugins.module_utils.host.findings import render
from ansible_collections.slipway.stack.plugins.module_utils.topology.build import PUBLIC_VARIABLES, build
from ansible_collections.slipway.stack.plugins.module_utils.topology.checks import health_checks
from ansible_collections.slipway.stack.plugins.module_utils.topology.coordination import coordination_host
from ansible_collections.slipway.stack.plugins.module_utils.topology.model import Topology, TopologyError
from ansible_collections.slipway.stack.plugins.module_utils.topology.validate import inventory_findings, near_misses
from ansible_collections.slipway.stack.plugins.module_utils.topology.view import CA_FILE, served_directories
from ansible_collections.slipway.stack.plugins.plugin_utils.inventory import look_up, read_inventory

ON_HOSTS = ("systemd", "release", "http")
"""Checks that tell whether a release works on a host. Those of what it depends on would tell of others' faults."""
THROUGH_THE_EDGE = ("http", "websocket")
PROVING = ("app_instances", "health_check", "assert")
"""Tasks of a batch whose failure is that of the release."""
OF_THE_BUILD = ("build", "subdirectory", "exclude")
"""What an artefact says of its making, beside where it comes from."""


def artifact_options(artifact: str | Mapping[str, Any]) -> dict[str, Any]:
    """Options of the module ``artifact`` for what an application or a run says: a path, or a source of some type.

    Relative paths start where Ansible was called.
    """
    said = dict(artifact) if isinstance(artifact, Mapping) else {"type": "tarball", "path": artifact}
    source = {name: value for name, value in said.items() if name not in OF_THE_BUILD}
    if source.get("path"):
        source["path"] = os.path.abspath(os.path.expanduser(source["path"]))  # noqa: PTH100, PTH111
    return {"source": source, **{name: said[name] for name in OF_THE_BUILD if name in said}}


def deploy_request(
    hostvars: Mapping[str, Any],
    groups: Mapping[str, Sequence[str]],
    host: str,
    direction: str,
    play_hosts: Sequence[str],
) -> dict[str, Any]:
    """What the run is asked for; ``refusal`` is empty where nothing stands against it."""
    inventory = read_inventory(hostvars, groups, host)
    found = (
        *near_misses({host: tuple(hostvars[host].keys())}, PUBLIC_VARIABLES.union(VARIABLES)),
        *inventory_findings(inventory),
    )
    if found:
        return {"refusal": render(found)}
    topology = build(inventory)
    try:
        request = _request(topology, hostvars[host], direction)
    except RequestError as error:
        return {"refusal": render(error.findings)}
    except TopologyError as error:
        return {"refusal": str(error)}
    meeting = coordination_host(groups, look_up(hostvars[host], "slipway_coordination_host"))
    app = request.application
    return {
        "refusal": render(limit_findings(topology, app, meeting, play_hosts)),
        **_as_data(request, topology),
        "coordination_host": meeting,
    }


def _request(topology: Topology, own: Mapping[str, Any], direction: str) -> Request:
    return parse(topology, {name: look_up(own, name) for name in VARIABLES}, direction)


def _as_data(request: Request, topology: Topology) -> dict[str, Any]:
    """What tasks need of a request: all that does not depend on the state of the hosts."""
    app = request.application
    hosts = {host.name: host for host in topology.members(app.group) if topology.instances_on(app, host)}
    probe = "http" if app.is_served else "heartbeat" if app.spec["heartbeat_seconds"] else "running"
    return {
        "application": app.name,
        "direction": request.direction,
        "release": request.release,
        "artifact": request.artifact,
        "artifact_sha256": request.artifact_sha256,
        "strategy": request.strategy,
        "owner": request.owner,
        "drain_seconds": request.drain_seconds,
        "soak_seconds": request.soak_seconds,
        "announce_seconds": request.announce_seconds,
        "window": request.window,
        "windows": list(app.spec["deploy"]["windows"]),
        "migrations": dict(app.spec["deploy"]["migrations"]),
        "batch_term_seconds": planning.batch_term_seconds(request),
        "is_served": app.is_served,
        "database": app.database.name if app.database else None,
        "writer": topology.postgresql_writer.host if app.database and topology.postgresql_writer else None,
        "hosts": list(hosts),
        "edges": [edge.name for edge in topology.members("edge")] if app.is_served else [],
        "edge_addresses": [edge.address for edge in topology.members("edge")] if app.is_served else [],
        "instances": {name: list(topology.instances_on(app, host)) for name, host in hosts.items()},
        "addresses": {name: host.address for name, host in hosts.items()},
        "directories": served_directories(app),
        "unit": f"slipway-{app.name}",
        "user": f"slipway-{app.name}",
        "root": f"/srv/slipway/{app.name}",
        "environment_file": f"/etc/slipway/{app.name}.env",
        "probe": probe,
        "readiness_path": app.spec["readiness_path"],
        "heartbeat_seconds": max(1, app.spec["heartbeat_seconds"]),
        "start_timeout_seconds": app.spec["start_timeout_seconds"],
    }


def deploy_plan(
    hostvars: Mapping[str, Any],
    groups: Mapping[str, Sequence[str]],
    host: str,
    direction: str,
    play_hosts: Sequence[str],
    release: str | None = None,
    failed: Sequence[str] | None = None,
) -> dict[str, Any]:
    """The plan, of what the hosts said (slipway_releases, slipway_pool, slipway_ledger).

    ``release`` is the one that an artefact told. With ``failed``, the hosts of a batch, it is the way back from there,
    over those of ``play_hosts`` that are still there.
    """
    topology = build(read_inventory(hostvars, groups, host))
    try:
        request = _request(topology, hostvars[host], direction)
    except RequestError as error:
        raise AnsibleFilterError(render(error.findings)) from error
    if release and request.release is None:
        request = replace(request, release=release)
    app = request.application
    own = [member for member in topology.members(app.group) if topology.instances_on(app, member)]
    hosts = [
        planning.app_host(member.name, topology.instances_on(app, member), hostvars[member.name]["slipway_releases"])
        for member in own
        if member.name in play_hosts
    ]
    edges = [
        planning.edge(member.name, app.name, hostvars[member.name]["slipway_pool"])
        for member in topology.members("edge")
        if app.is_served and member.name in play_hosts
    ]
    history = planning.history(hostvars[host]["slipway_ledger"])
    left_out = [member.name for member in own if member.name not in play_hosts]
    made = (
        planning.plan(request, hosts, edges, history, left_out)
        if failed is None
        else planning.restore(request, hosts, edges, history, hostvars[host]["slipway_deploy"]["origins"], failed)
    )
    return {
        **_as_data(request, topology),
        "coordination_host": coordination_host(groups, look_up(hostvars[host], "slipway_coordination_host")),
        "refusal": render(made.findings),
        "impact": describe(made, history) if not made.findings else [],
        "is_needed": made.is_needed,
        "needed_seconds": needed_seconds(made, history),
        "targets": dict(made.targets),
        "origins": dict(made.origins),
        "lacking": list(made.lacking),
        "left_out": list(made.left_out),
        "release": made.release,
        "before": sorted(set(made.origins.values())),
        "purpose": f"{'deploy' if direction == FORWARD else 'roll back'} {app.name} {made.release or ''}".strip(),
        "migrates": planning.migrates(made, history),
        "seeds": planning.seeds(made, history),
        "contracts": planning.contracts(made, history),
        "shows_page": planning.shows_page(made, history),
        "batches": [
            {
                "phase": batch.phase,
                "title": batch.title,
                "number": batch.number,
                "canary": batch.kind == planning.CANARY,
                "hosts": list(batch.hosts),
                "instances": {name: list(numbers) for name, numbers in batch.hosts.items()},
                "members": {name: [f"{name}:{number}" for number in numbers] for name, numbers in batch.hosts.items()},
            }
            for batch in made.batches
        ],
    }


def deploy_checks(
    hostvars: Mapping[str, Any],
    groups: Mapping[str, Sequence[str]],
    host: str,
    plan: Mapping[str, Any],
    batch: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """The checks that prove a release: of the batch's instances on `host`, or of the application through this edge."""
    topology = build(read_inventory(hostvars, groups, host, unknown_cores=1))
    try:
        checks = health_checks(topology, topology.hosts[host], CA_FILE)
    except TopologyError as error:
        raise AnsibleFilterError(str(error)) from error
    own = [check for check in checks if check.get("application") == plan["application"]]
    if batch is None:
        return [check for check in own if check["type"] in THROUGH_THE_EDGE]
    return [
        {**check, "release": plan["targets"][host]} if check["type"] == "release" else check
        for check in own
        if check["type"] in ON_HOSTS and any(_is_of(check, number) for number in batch["instances"][host])
    ]


def _is_of(check: Mapping[str, Any], instance: int) -> bool:
    """Whether a check looks at this instance: by its unit, or by its port."""
    return str(check.get("unit", "")).endswith(f"@{instance}.service") or f":{instance}/" in str(check.get("url", ""))


def deploy_failure(
    hostvars: Mapping[str, Any], hosts: Sequence[str], plan: Mapping[str, Any], phase: str
) -> dict[str, Any]:
    """What failed in a phase, and which of the hosts are still ``here``."""
    here = [host for host in hosts if "slipway_is_here" in hostvars[host]]
    results = {
        host: (hostvars[host]["ansible_failed_task"], hostvars[host]["ansible_failed_result"])
        for host in here
        if "ansible_failed_result" in hostvars[host]
    }
    errors = {host: _error(task, result) for host, (task, result) in results.items()}
    blaming = [host for host, (task, result) in results.items() if host in plan["targets"] and _proves(task, result)]
    found = failure(plan, phase, errors, [host for host in hosts if host not in here], blaming)
    return {
        **asdict(found),
        "summary": found.summary,
        "goes_back": found.goes_back,
        "release": plan["release"],
        "here": here,
    }


def _proves(task: Mapping[str, Any], result: Mapping[str, Any]) -> bool:
    """Whether a failure is that of the release: not where the old one would not stop, or another run has the lease."""
    is_stop = (task.get("args") or {}).get("state") == "stopped"
    is_fenced = str(result.get("msg") or "").startswith("fence:")
    return str(task["action"]).rpartition(".")[2] in PROVING and not is_stop and not is_fenced


def _error(task: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """What a task says of its failure; of health checks, those that did not pass."""
    failing = [one for one in result.get("results") or () if one.get("status") in ("critical", "unknown")]
    text = "; ".join(f"{one['name']}: {one['message']}" for one in failing) or result.get("msg")
    return str(text or f"{task['name']} failed")


def deploy_lacks(hostvars: Mapping[str, Any], plan: Mapping[str, Any]) -> bool:
    """Whether a host has to be sent the release, or nobody has said yet which one it is."""
    known = [hostvars[host].get("slipway_releases") or {} for host in plan["hosts"]]
    stored = [{entry["id"] for entry in info["releases"]} for info in known if "releases" in info]
    return plan["release"] is None or any(plan["release"] not in ids for ids in stored)


def deploy_outcome(failed: Mapping[str, Any], hostvars: Mapping[str, Any], plan: Mapping[str, Any]) -> dict[str, Any]:
    """What became of a failed run: ``text`` for the operator, and whether the hosts are as before (``whole``)."""
    found = Failure(**{field.name: failed[field.name] for field in fields(Failure)})
    back = [host for host in failed["here"] if "slipway_is_back" in hostvars[host]]
    # Without those that --limit leaves out.
    own = [host for host in plan["hosts"] if host in (*failed["here"], *failed["unreachable"])]
    states = {host: hostvars[host]["slipway_releases"]["current"] for host in own if host in back}
    edges = [
        planning.edge(host, plan["application"], hostvars[host]["slipway_pool"])
        for host in plan["edges"]
        if host in back
    ]
    drained = [
        f"{member.name} on {edge.name}"
        for edge in edges
        for member in edge.members
        if member.state != planning.ACTIVE and member.owner == plan["owner"]
    ]
    lost = [host for host in own if host not in back]
    text = message(found, failed["release"], plan["application"], states, drained, lost)
    whole = not drained and states == {host: plan["origins"].get(host) for host in own}
    return {"text": "\n".join(text), "whole": whole}


def deploy_phase_kind(phase: str) -> str:
    """The name that hooks have for a phase: ``batch`` for the canary and each batch."""
    kind = phase.partition(" ")[0]
    batches = (planning.CANARY, planning.BATCH, planning.BACK_AGAIN)
    return planning.BATCH if kind in batches else phase.replace(" ", "_")


def whole_run(pattern: str) -> str:
    """The pattern of hosts as it is, unless the call leaves out tasks: the one that refuses it could be among them."""
    called = context.CLIARGS
    left_out = {
        "--start-at-task": called.get("start_at_task"),
        "--tags": [tag for tag in called.get("tags") or () if tag != "all"],
        "--skip-tags": list(called.get("skip_tags") or ()),
    }
    for option, value in left_out.items():
        if value:
            raise AnsibleFilterError(
                f"{option}: {value if isinstance(value, str) else ','.join(value)}; expected none, since a deploy is"
                f" done as a whole: run it without {option}, and it goes on where it was cut off. Nothing was changed"
            )
    return pattern


def deploy_progress(plan: Mapping[str, Any], phase: str, lease: Mapping[str, Any] | None = None) -> str:
    """The line that tells which phase begins, how long the run has taken, and about how long the rest takes."""
    return progress(plan, phase, lease, datetime.now(timezone.utc))


def deploy_summary(plan: Mapping[str, Any], lease: Mapping[str, Any]) -> list[str]:
    """How long each phase took."""
    return summary(plan, lease, datetime.now(timezone.utc))


def deploy_timings(lease: Mapping[str, Any]) -> dict[str, int]:
    """The same as data: seconds by phase, those of a phase that began twice together."""
    took: dict[str, int] = {}
    for phase, seconds in timings(lease, datetime.now(timezone.utc)):
        took[phase] = took.get(phase, 0) + seconds
    return took


class FilterModule:
    """The filters of deploy and rollback."""

    def filters(self) -> dict[str, Any]:
        return {
            "artifact_options": artifact_options,
            "deploy_request": deploy_request,
            "deploy_phase_kind": deploy_phase_kind,
            "deploy_plan": deploy_plan,
            "deploy_checks": deploy_checks,
            "deploy_failure": deploy_failure,
            "deploy_lacks": deploy_lacks,
            "deploy_outcome": deploy_outcome,
            "whole_run": whole_run,
            "deploy_progress": deploy_progress,
            "deploy_summary": deploy_summary,
            "deploy_timings": deploy_timings,
        }
