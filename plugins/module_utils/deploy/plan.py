# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what hosts and edges say to the steps of a deploy: which release, and in which batches.

The plan is made of nothing but what is there, so that a run that died is taken up by making it again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..host.findings import ERROR, Finding
from .request import BACK, FORWARD, MAINTENANCE, ROLLING, Request

ACTIVE = "active"
BATCH, BACK_AGAIN, CANARY = "batch", "back", "canary"
HEALTH_SECONDS = 60
"""The most that the proof of health takes."""


@dataclass(frozen=True)
class AppHost:
    """One of the application's hosts: its declared instances, its releases, and which of them each instance runs."""

    name: str
    instances: tuple[int, ...]
    stored: frozenset[str] = frozenset()
    bad: Mapping[str, str] = field(default_factory=dict)
    current: str | None = None
    history: tuple[str, ...] = ()
    running: Mapping[int, str | None] = field(default_factory=dict)

    def runs(self, release: str | None) -> bool:
        """Whether the release is current, and what each declared instance runs."""
        return self.current == release and all(self.running.get(number) == release for number in self.instances)


@dataclass(frozen=True)
class Member:
    """What an edge says of one member of the pool. Counts are None where nginx does not run."""

    host: str
    name: str
    state: str
    owner: str
    websockets: int | None = None


@dataclass(frozen=True)
class Edge:
    """One edge, and the members of the application's pool there."""

    name: str
    members: tuple[Member, ...]


@dataclass(frozen=True)
class History:
    """What the ledger says of the application; releases newest first.

    ``origins`` is what the hosts ran before a run that has not ended, None where every run has; ``had_page`` tells
    that it had a maintenance page, and ``back_to`` to which release it went back, if it did.
    """

    origins: Mapping[str, str] | None = None
    back_to: str | None = None
    had_page: bool = False
    succeeded: tuple[str, ...] = ()
    contracted: tuple[str, ...] = ()
    migrated: tuple[str, ...] = ()
    seeded: bool = False


@dataclass(frozen=True)
class Batch:
    """Instances, by host, that leave the pool together. ``number`` counts from 1."""

    number: int
    of: int
    kind: str
    hosts: Mapping[str, tuple[int, ...]]

    @property
    def phase(self) -> str:
        """The batch's name: ``canary``, ``batch 2 of 3``, or ``back 1 of 2`` for one on the way back."""
        return self.kind if self.kind == CANARY else f"{self.kind} {self.number} of {self.of}"

    @property
    def title(self) -> str:
        """The batch as the progress line has it."""
        return f"{self.phase} | {', '.join(self.hosts)}"


@dataclass(frozen=True)
class Plan:
    """What is to be done. ``targets`` and ``origins`` are releases by host: where it goes, and what it goes back to."""

    request: Request
    hosts: tuple[AppHost, ...]
    edges: tuple[Edge, ...]
    targets: Mapping[str, str]
    origins: Mapping[str, str]
    batches: tuple[Batch, ...]
    findings: tuple[Finding, ...] = ()
    left_out: tuple[str, ...] = ()
    finishes_another: bool = False

    @property
    def release(self) -> str | None:
        """The release that all hosts get; None where each goes back to its own."""
        found = set(self.targets.values())
        return next(iter(found)) if len(found) == 1 else None

    @property
    def lacking(self) -> tuple[str, ...]:
        """Hosts on which the release is not stored yet."""
        return tuple(host.name for host in self.hosts if self.targets.get(host.name) not in host.stored)

    @property
    def is_needed(self) -> bool:
        return bool(self.batches) or self.finishes_another


def plan(
    request: Request,
    hosts: Sequence[AppHost],
    edges: Sequence[Edge],
    history: History,
    left_out: Sequence[str] = (),
) -> Plan:
    """Return the way to the release that is asked for, with what stands against it as findings."""
    origins = _origins(hosts, history)
    target, findings = _target(request, hosts, history)
    targets = {} if target is None else {host.name: target for host in hosts}
    batches: tuple[Batch, ...] = ()
    if target is not None:
        units = _units(request, hosts, edges, targets)
        size, wrong = _size(request, hosts)
        findings += wrong
        is_first = request.direction == FORWARD and not any(host.runs(target) for host in hosts)
        batches = _batches(units, size, BATCH, canary=is_first and request.strategy == ROLLING)
        findings += _pool_findings(request, hosts, edges, batches)
    return Plan(
        request,
        tuple(hosts),
        tuple(edges),
        targets,
        origins,
        batches,
        tuple(findings),
        tuple(left_out),
        history.origins is not None,
    )


def restore(
    request: Request,
    hosts: Sequence[AppHost],
    edges: Sequence[Edge],
    history: History,
    origins: Mapping[str, str],
    failed: Sequence[str],
) -> Plan:
    """Return the way back after a failure: first the batch that ``failed``, then, where wanted, those before it.

    Nobody goes back to a release that was there before the database was contracted.
    """
    scope = [
        host
        for host in hosts
        if host.name in origins
        and origins[host.name] in host.stored
        and _contract_after(origins[host.name], hosts, history) is None
    ]
    if request.rollback == "batch":
        scope = [host for host in scope if host.name in failed]
    scope.sort(key=lambda host: host.name not in failed)
    units = _units(request, scope, edges, origins)
    # Hosts of the batch that were lost don't serve meanwhile.
    lost = set(failed).difference(host.name for host in hosts)
    serving = request.pool_hosts - len(lost)
    size = len(units) if request.strategy == MAINTENANCE else min(_wanted(request), serving - 1)
    batches = [
        batch
        for batch in _batches(units, max(1, size), BACK_AGAIN)
        # A host that was lost may be all that would serve meanwhile; then the others stay with the release they have.
        if request.strategy == MAINTENANCE or not any(_is_last(request, edge, batch, scope) for edge in edges)
    ]
    back = {name for batch in batches for name in batch.hosts}
    return Plan(
        request,
        tuple(hosts),
        tuple(edges),
        {host.name: origins[host.name] for host in scope if host.name in back},
        origins,
        tuple(batches),
        left_out=tuple(host.name for host in hosts if host.name not in back),
    )


def _is_last(request: Request, edge: Edge, batch: Batch, coming_back: Sequence[AppHost]) -> bool:
    """Whether a batch that serves is the last to, so that the edge would have nobody to ask meanwhile."""
    names = [host.name for host in coming_back]
    rest = [member for member in edge.members if member.name not in members_of(batch)]
    serving = [
        member for member in rest if member.state == ACTIVE or (member.owner == request.owner and member.host in names)
    ]
    serves = any(member.state == ACTIVE for member in edge.members if member.name in members_of(batch))
    return serves and bool(rest) and not serving


def _origins(hosts: Sequence[AppHost], history: History) -> dict[str, str]:
    """What each host goes back to: what it ran before a run that has not ended, else what is current."""
    before = history.origins or {}
    found = {host.name: before.get(host.name, host.current) for host in hosts}
    return {name: release for name, release in found.items() if release is not None}


def _target(request: Request, hosts: Sequence[AppHost], history: History) -> tuple[str | None, list[Finding]]:
    """The release to go to, and what stands against it."""
    variable = "deploy_release" if request.direction == FORWARD else "rollback_release"
    target = request.release
    if target is None:
        candidates = list(_earlier(hosts, history)) if request.direction == BACK else []
        if not candidates:
            return None, [_no_release(request, hosts)]
        target = candidates[0]
    findings = [
        Finding(
            ERROR,
            host.name,
            variable,
            target,
            f"a release that is not marked bad; this one is: {host.bad[target]}",
            "build a new release; or, if it was not the release's fault, take the mark away with"
            f" slipway.stack.release: state: good, release: {target}, root: /srv/slipway/{request.application.name}",
        )
        for host in hosts
        if target in host.bad
    ]
    lacking = [host.name for host in hosts if target not in host.stored]
    if lacking and request.direction == FORWARD and request.artifact is None:
        findings.append(
            Finding(
                ERROR,
                lacking[0],
                "deploy_artifact",
                f"nothing, and {target} is not stored on {', '.join(lacking)}",
                "the release's tarball on the controller, or another source of it, with its checksum",
                "give -e deploy_artifact=PATH -e deploy_artifact_sha256=SUM",
            )
        )
    if lacking and request.direction == BACK:
        findings.append(
            Finding(
                ERROR,
                lacking[0],
                variable,
                target,
                f"a release that is stored on every host; {', '.join(lacking)} has not got it",
                f"deploy it instead: deploy -e deploy_release={target}",
            )
        )
    contract = _contract_after(target, hosts, history)
    if contract is not None and not request.database_restored:
        findings.append(
            Finding(
                ERROR,
                "",
                variable,
                target,
                f"a release that can work with the database: {contract} has contracted it, and {target} is older",
                f"go on with {contract} or a newer one; or restore the database to a time before {contract},"
                " and say so: -e deploy_database_restored=true",
            )
        )
    return target, findings


def _earlier(hosts: Sequence[AppHost], history: History) -> Iterator[str]:
    """Releases to go back to, the best first: where, or before what, a run that has not ended went; else as hosts know.

    Hosts that differ are halfway somewhere: then what last succeeded is the best.
    """
    differ = len({host.current for host in hosts}) > 1
    known = [
        *([history.back_to] if history.back_to else []),
        *(history.origins or {}).values(),
        *(history.succeeded if differ else ()),
        *(release for host in hosts[:1] for release in reversed(host.history)),
    ]
    current = set() if history.origins or differ else {host.current for host in hosts}
    for release in dict.fromkeys(known):
        if release not in current and all(release in host.stored and release not in host.bad for host in hosts):
            yield release


def _no_release(request: Request, hosts: Sequence[AppHost]) -> Finding:
    if request.direction == FORWARD:
        return Finding(
            ERROR,
            "",
            "deploy_release",
            "nothing",
            "the release to deploy: 1 to 64 letters, digits, dots, dashes and underscores",
            f"say it: -e deploy_release=ID; or set slipway_apps.{request.application.name}.release",
        )
    told = "; ".join(
        f"{host.name} has {', '.join(sorted(host.stored)) or 'none'}"
        + (f", bad: {', '.join(sorted(host.bad))}" if host.bad else "")
        for host in hosts
    )
    return Finding(
        ERROR,
        "",
        "rollback_release",
        f"nothing, and there is no earlier good release ({told})",
        "a release that was current before and is not marked bad, on every host",
        "deploy one: deploy -e deploy_release=ID",
    )


def _contract_after(target: str, hosts: Sequence[AppHost], history: History) -> str | None:
    """The release that contracted the database after the target had come to it, if there is one."""
    for release in history.contracted:
        if release == target:
            return None
        if _came_before(target, release, hosts, history):
            return release
    return None


def _came_before(one: str, other: str, hosts: Sequence[AppHost], history: History) -> bool:
    """Whether a release was in use before another first was, as hosts remember it; else as the ledger does."""
    known = [host.history for host in hosts if one in host.history and other in host.history]
    if known:
        return any(order.index(one) < order.index(other) for order in known)
    order = history.succeeded
    return one in order and (other not in order or order.index(other) < order.index(one))


def _taken_out(request: Request, edges: Iterable[Edge]) -> set[str]:
    """Names of members that an earlier run took out of the pool of an edge."""
    return {
        member.name
        for edge in edges
        for member in edge.members
        if member.state != ACTIVE and member.owner == request.owner
    }


def _drained_by_us(request: Request, edges: Iterable[Edge], host: str) -> bool:
    return any(name.rpartition(":")[0] == host for name in _taken_out(request, edges))


Unit = Mapping[str, tuple[int, ...]]


def _units(request: Request, hosts: Sequence[AppHost], edges: Sequence[Edge], targets: Mapping[str, str]) -> list[Unit]:
    """What can be done apart from the rest: a host; or, where there is one host alone, an instance.

    What an earlier run took out of the pool comes first.
    """
    behind = [host for host in hosts if not host.runs(targets[host.name]) or _drained_by_us(request, edges, host.name)]
    if behind and request.is_alone:
        (host,) = hosts
        ours = _taken_out(request, edges)
        is_ours = {number: f"{host.name}:{number}" in ours for number in host.instances}
        left = [n for n in host.instances if is_ours[n] or host.running.get(n) != targets[host.name]]
        return [{host.name: (n,)} for n in sorted(left or host.instances, key=lambda n: not is_ours[n])]
    ordered = sorted(behind, key=lambda host: not _drained_by_us(request, edges, host.name))
    return [{host.name: host.instances} for host in ordered]


def _wanted(request: Request) -> int:
    """The size of a batch as asked for: in hosts, or in instances where there is one host."""
    if isinstance(request.batch, int):
        return request.batch
    return max(1, math.ceil(request.pool_hosts * int(request.batch.rstrip("%")) / 100))


def _size(request: Request, hosts: Sequence[AppHost]) -> tuple[int, list[Finding]]:
    """How many units make a batch, which must leave one that serves."""
    if request.strategy == MAINTENANCE:
        return max(1, len(hosts)), []
    size = _wanted(request)
    if not request.application.is_served:
        return size, []
    whole, what = (len(hosts[0].instances), "instances") if request.is_alone else (request.pool_hosts, "hosts")
    if size < whole:
        return size, []
    return size, [
        Finding(
            ERROR,
            "",
            "deploy_batch",
            f"{request.batch}, of {whole} {what}",
            "a batch smaller than the pool: somebody has to serve meanwhile",
            f"run more {what}, or accept a maintenance page: -e deploy_strategy=maintenance"
            if whole == 1
            else f"choose at most {whole - 1}",
        )
    ]


def _batches(units: Sequence[Unit], size: int, kind: str, canary: bool = False) -> tuple[Batch, ...]:
    """The units in batches: the first alone where it is a canary and others follow it."""
    first = [units[:1]] if canary and len(units) > 1 else []
    rest = units[1:] if first else units
    parts = [*first, *(rest[start : start + size] for start in range(0, len(rest), size))]
    batches = []
    for number, part in enumerate(parts, 1):
        hosts: dict[str, tuple[int, ...]] = {}
        for unit in part:
            for name, instances in unit.items():
                hosts[name] = (*hosts.get(name, ()), *instances)
        batches.append(Batch(number, len(parts), CANARY if first and number == 1 else kind, hosts))
    return tuple(batches)


def members_of(batch: Batch) -> list[str]:
    """The batch's members of the pool, by name."""
    return [f"{host}:{instance}" for host, instances in batch.hosts.items() for instance in instances]


def _pool_findings(
    request: Request, hosts: Sequence[AppHost], edges: Sequence[Edge], batches: Sequence[Batch]
) -> Iterator[Finding]:
    """Batches that would leave an edge without a member that serves, because others drained the rest."""
    if request.strategy == MAINTENANCE:
        return
    for edge in edges:
        for batch in batches:
            if _is_last(request, edge, batch, hosts):
                rest = [member for member in edge.members if member.name not in members_of(batch)]
                who = ", ".join(f"{member.name} ({member.state}, {member.owner})" for member in rest)
                yield Finding(
                    ERROR,
                    edge.name,
                    f"the pool of {request.application.name}",
                    who,
                    f"a member that serves while {', '.join(batch.hosts)} gets the release",
                    "let them back first (slipway.stack.pool_member: state: active), or ask their owners",
                )


def migrates(made: Plan, history: History) -> bool:
    """Whether the database is to be brought to the release, which happens once for each."""
    command = made.request.application.spec["deploy"]["migrations"]["command"]
    return made.request.direction == FORWARD and bool(command) and made.release not in history.migrated


def shows_page(made: Plan, history: History) -> bool:
    """Whether visitors see the maintenance page meanwhile; also to take off one that an earlier run left on."""
    own = made.request.strategy == MAINTENANCE and bool(made.batches)
    return made.request.application.is_served and (own or history.had_page)


def seeds(made: Plan, history: History) -> bool:
    """Whether the database still lacks its first data."""
    command = made.request.application.spec["deploy"]["migrations"]["seed_command"]
    return made.request.direction == FORWARD and bool(command) and not history.seeded


def contracts(made: Plan, history: History) -> bool:
    """Whether what only older releases need leaves the database: not while a host that is left out runs one."""
    command = made.request.application.spec["deploy"]["migrations"]["contract_command"]
    wanted = made.request.direction == FORWARD and bool(command) and made.release not in history.contracted
    return wanted and not made.left_out


def app_host(name: str, instances: Sequence[int], info: Mapping[str, Any]) -> AppHost:
    """One host of what the module ``release_info`` says of it."""
    return AppHost(
        name=name,
        instances=tuple(instances),
        stored=frozenset(str(entry["id"]) for entry in info["releases"]),
        bad={str(release): f"{mark['reason']} ({mark['at']})" for release, mark in info["bad"].items()},
        current=info["current"],
        history=tuple(str(entry["release"]) for entry in info["history"]),
        running={int(number): release for number, release in info["running"].items()},
    )


def edge(name: str, application: str, info: Mapping[str, Any]) -> Edge:
    """One edge of what the module ``pool_member_info`` says of it."""
    members = info["pools"][application]["members"]
    return Edge(
        name,
        tuple(
            Member(entry["name"].rpartition(":")[0], entry["name"], entry["state"], entry["owner"], entry["websockets"])
            for entry in members
        ),
    )


def history(info: Mapping[str, Any]) -> History:
    """The history of what the module ``deploy_ledger_info`` says of an application."""
    unfinished = info["unfinished"]
    return History(
        origins=None if unfinished is None else dict(unfinished["data"].get("origins") or {}),
        back_to=unfinished["release"] if unfinished and unfinished["data"].get("direction") == BACK else None,
        had_page=unfinished is not None and unfinished["data"].get("strategy") == MAINTENANCE,
        succeeded=tuple(info["succeeded"]),
        contracted=tuple(info["contracted"]),
        migrated=tuple(info["migrated"]),
        seeded=bool(info["seeded"]),
    )


def batch_term_seconds(request: Request) -> int:
    """The most that a batch takes: for how long the lease is taken before it."""
    spec = request.application.spec
    # The canary is stopped and started twice.
    return int(
        request.drain_seconds + 2 * (spec["stop_timeout_seconds"] + spec["start_timeout_seconds"]) + HEALTH_SECONDS
    )
