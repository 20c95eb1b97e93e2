"""Fleets to plan deploys for: a shop of some hosts behind two edges, and what became of it by a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.slipway.stack.plugins.module_utils.deploy.plan import AppHost, Edge, Member, Plan
from ansible_collections.slipway.stack.plugins.module_utils.deploy.request import FORWARD, Request, parse
from ansible_collections.slipway.stack.plugins.module_utils.topology.build import build
from ansible_collections.slipway.stack.plugins.module_utils.topology.model import Topology
from ansible_collections.slipway.stack.tests.unit.plugins.module_utils.topology.examples import MAILER, SHOP, inventory

OLD, NEW = "1.3.0", "1.4.0"
OURS = "deploy shop"


def topology(hosts: int = 3, **entry: Any) -> Topology:
    """A shop and its mailer on ``app1`` to ``appN``; ``entry`` changes what both say."""
    groups = {
        "edge": ["edge1", "edge2"],
        "shop": [f"app{number}" for number in range(1, hosts + 1)],
        "postgresql": ["data1"],
        "redis": ["data1", "data2", "data3"],
    }
    return build(inventory({"shop": {**SHOP, **entry}, "mailer": {**MAILER, **entry}}, groups))


def asked(
    direction: str = FORWARD,
    hosts: int = 3,
    entry: Mapping[str, Any] | None = None,
    application: str = "shop",
    rollback_release: str | None = None,
    **said: Any,
) -> Request:
    """What a run asks for that says ``deploy_NAME`` for each of ``said``; a new release, unless it says another."""
    variables = {"deploy_application": application, **{f"deploy_{name}": value for name, value in said.items()}}
    if direction == FORWARD:
        variables = {
            "deploy_release": NEW,
            "deploy_artifact": "shop.tar.gz",
            "deploy_artifact_sha256": "0" * 64,
            **variables,
        }
    return parse(topology(hosts, **(entry or {})), {**variables, "rollback_release": rollback_release}, direction)


def app_host(name: str, current: str | None = OLD, instances: Sequence[int] = (3000, 3001), **more: Any) -> AppHost:
    """A host whose instances all run the current release, unless ``running`` says something else."""
    values = {
        "stored": frozenset({OLD, NEW}),
        "history": tuple(dict.fromkeys(filter(None, (OLD, current)))),
        "running": dict.fromkeys(instances, current),
    }
    return AppHost(name, tuple(instances), current=current, **{**values, **more})


def fleet(hosts: int = 3, **more: Any) -> list[AppHost]:
    return [app_host(f"app{number}", **more) for number in range(1, hosts + 1)]


def edges(hosts: Sequence[AppHost], taken_out: Mapping[str, str] | None = None, websockets: int = 0) -> list[Edge]:
    """Both edges; ``taken_out`` names the owners of members that are draining."""
    members = tuple(
        Member(host.name, name, "draining", taken_out[name], websockets)
        if taken_out and name in taken_out
        else Member(host.name, name, "active", "", websockets)
        for host in hosts
        for name in (f"{host.name}:{number}" for number in host.instances)
    )
    return [Edge("edge1", members), Edge("edge2", members)]


def applied(made: Plan) -> tuple[list[AppHost], list[Edge]]:
    """The fleet after the plan's batches."""
    hosts = {host.name: host for host in made.hosts}
    done = set()
    for batch in made.batches:
        for name, instances in batch.hosts.items():
            target = made.targets[name]
            hosts[name] = replace(
                hosts[name],
                current=target,
                stored=hosts[name].stored | {target},
                running={**hosts[name].running, **dict.fromkeys(instances, target)},
            )
            done.update(f"{name}:{number}" for number in instances)
    return list(hosts.values()), [
        Edge(
            edge.name,
            tuple(
                replace(member, state="active", owner="")
                if member.name in done and member.owner == made.request.owner
                else member
                for member in edge.members
            ),
        )
        for edge in made.edges
    ]


def steps(made: Plan) -> list[tuple[str, dict[str, tuple[int, ...]]]]:
    """The batches, as phases with what they are about."""
    return [(batch.phase, dict(batch.hosts)) for batch in made.batches]
