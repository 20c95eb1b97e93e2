# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run of ``deploy`` or ``rollback`` is asked for: the application's settings, and what the run says instead."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..host.findings import ERROR, Finding
from ..topology.applications import APP_FIELDS, DEPLOY_FIELDS, Field
from ..topology.model import Application, Topology

FORWARD = "forward"
BACK = "back"
ROLLING = "rolling"
MAINTENANCE = "maintenance"

RUN_FIELDS: Mapping[str, Field] = {
    "release": APP_FIELDS["release"],
    "artifact": APP_FIELDS["artifact"],
    "artifact_sha256": APP_FIELDS["artifact_sha256"],
    **{name: DEPLOY_FIELDS[name] for name in DEPLOY_FIELDS if name not in ("windows", "migrations")},
    "window": Field("enforce, wait or ignore", lambda value: value in ("enforce", "wait", "ignore"), "enforce"),
    "database_restored": Field("true or false", lambda value: isinstance(value, bool), False),
}
"""What a run may say, each as the variable ``deploy_NAME``."""
NUMBERS = ("batch", "drain_seconds", "soak_seconds", "announce_seconds")

VARIABLES = ("deploy_application", "rollback_release", "deploy_take_over", *(f"deploy_{name}" for name in RUN_FIELDS))


class RequestError(ValueError):
    """What is asked for cannot be done; ``findings`` say why."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(f"{len(findings)} findings")
        self.findings = tuple(findings)


@dataclass(frozen=True)
class Request:
    """One application, and how a release comes to it. Times are in seconds.

    ``release`` is None where the artefact tells it (forward), or where the last good one is meant (back).
    ``pool_hosts`` counts all hosts of the application, also those that ``--limit`` leaves out.
    ``batch`` is a number of hosts, or a share such as ``25%``. ``database_restored`` says that the database was brought
    back to a time before it was contracted.
    """

    application: Application
    direction: str
    release: str | None
    artifact: Any
    artifact_sha256: str | None
    strategy: str
    batch: int | str
    drain_seconds: int
    soak_seconds: int
    announce_seconds: int
    rollback: str
    window: str
    pool_hosts: int
    database_restored: bool = False

    @property
    def is_alone(self) -> bool:
        """Whether one host has to serve while it gets the release, so that its instances take turns."""
        return self.pool_hosts == 1 and self.strategy == ROLLING and self.application.is_served

    @property
    def owner(self) -> str:
        """Who drains: the same for each run, so that a run knows what one before it left behind."""
        return f"deploy {self.application.name}"


def parse(topology: Topology, variables: Mapping[str, Any], direction: str) -> Request:
    """Read what the run says, over what the application says.

    Raises:
        RequestError: with everything that is wrong.
    """
    app = _application(topology, variables.get("deploy_application"))
    given = {name: variables.get(f"deploy_{name}") for name in RUN_FIELDS}
    given.update((name, _number(given[name])) for name in NUMBERS)
    given["database_restored"] = {"true": True, "false": False}.get(
        str(given["database_restored"]).lower(), given["database_restored"]
    )
    findings = [
        _refused(f"deploy_{name}", value, RUN_FIELDS[name].expected)
        for name, value in given.items()
        if value is not None and not RUN_FIELDS[name].accepts(value)
    ]
    findings += _misdirected(variables, direction)
    if direction == BACK:
        given["release"] = variables.get("rollback_release")
        if given["release"] is not None and not RUN_FIELDS["release"].accepts(given["release"]):
            findings.append(_refused("rollback_release", given["release"], RUN_FIELDS["release"].expected))
    if app.single_instance and given["strategy"] == ROLLING:
        findings.append(
            Finding(
                ERROR,
                "",
                "deploy_strategy",
                ROLLING,
                f"maintenance: {app.name} keeps its state in its memory (single_instance), and the old and the new"
                " program would each have a part of it",
                "leave deploy_strategy out, or share the state (Redis pub/sub) and remove single_instance",
            )
        )
    forward = direction == FORWARD
    # The inventory's archive is that of its release, not of another one that the run names.
    own = forward and given["release"] in (None, app.spec["release"]) and given["artifact"] is None
    artifact = app.spec["artifact"] if own else given["artifact"]
    artifact_sha256 = given["artifact_sha256"] or (app.spec["artifact_sha256"] if own else None)
    findings += _unsummed(artifact, artifact_sha256) if forward else ()
    if findings:
        raise RequestError(findings)
    said = {**app.spec["deploy"], **{name: value for name, value in given.items() if value is not None}}
    return Request(
        application=app,
        direction=direction,
        release=given["release"] or (app.spec["release"] if own else None),
        artifact=artifact,
        artifact_sha256=artifact_sha256,
        strategy=said["strategy"] or (MAINTENANCE if app.single_instance else ROLLING),
        batch=said["batch"],
        drain_seconds=said["drain_seconds"],
        soak_seconds=said["soak_seconds"] if forward or given["soak_seconds"] is not None else 0,
        announce_seconds=said["announce_seconds"],
        rollback=said["rollback"],
        window=said.get("window", RUN_FIELDS["window"].default),
        pool_hosts=sum(bool(topology.instances_on(app, host)) for host in topology.members(app.group)),
        database_restored=bool(given["database_restored"]),
    )


def _misdirected(variables: Mapping[str, Any], direction: str) -> Iterator[Finding]:
    """Variables of the other direction, which would be passed over."""
    other = ("rollback_release",) if direction == FORWARD else ("deploy_release", "deploy_artifact")
    instead = "deploy_release, or the playbook rollback" if direction == FORWARD else "rollback_release"
    for name in other:
        if variables.get(name) is not None:
            expected = f"nothing: {name} is not for this playbook"
            yield Finding(ERROR, "", name, repr(variables[name]), expected, f"say {instead}")


def _unsummed(artifact: Any, sha256: str | None) -> Iterator[Finding]:
    """A tarball without its checksum; other sources say themselves what they are."""
    if isinstance(artifact, str) and sha256 is None:
        yield Finding(
            ERROR,
            "",
            "deploy_artifact_sha256",
            "nothing",
            f"the SHA-256 checksum of {artifact}, 64 hexadecimal digits",
            f"say it as whoever built the release does: -e deploy_artifact_sha256=SUM (sha256sum {artifact})",
        )


def _application(topology: Topology, name: Any) -> Application:
    """The application that is meant: the only one, where none is named."""
    names = [app.name for app in topology.applications]
    wanted = name if name is not None or len(names) != 1 else names[0]
    for app in topology.applications:
        if app.name == wanted:
            return app
    expected = f"one of {', '.join(names)}" if names else "an application of slipway_apps, which has none"
    raise RequestError(
        [
            Finding(
                ERROR,
                "",
                "deploy_application",
                "nothing" if name is None else repr(name),
                expected,
                "say which one: -e deploy_application=NAME",
            )
        ]
    )


def _number(value: Any) -> Any:
    """An extra variable given as ``name=value`` arrives as text."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,9}", value) else value


def _refused(variable: str, value: Any, expected: str) -> Finding:
    return Finding(ERROR, "", variable, repr(value), expected, f"correct {variable}")


def limit_findings(
    topology: Topology, app: Application, coordination_host: str, play_hosts: Sequence[str]
) -> Iterator[Finding]:
    """What is wrong with the hosts that ``--limit`` leaves: it may leave out hosts of the application, no others."""
    needed = {edge.name: "edge, from which hosts are drained" for edge in topology.members("edge") if app.is_served}
    needed.setdefault(coordination_host, "coordination host, which keeps lease and ledger")
    for name, what in needed.items():
        if name not in play_hosts:
            yield Finding(
                ERROR,
                name,
                "--limit",
                ",".join(play_hosts) or "no host",
                f"a limit that leaves {name} in: it is the {what}",
                "leave --limit out; or let it name all edges, and those hosts of the application that get the release",
            )
    own = [host.name for host in topology.members(app.group) if topology.instances_on(app, host)]
    if not set(own).intersection(play_hosts):
        yield Finding(
            ERROR,
            "",
            "--limit",
            ",".join(play_hosts) or "no host",
            f"a limit that leaves a host of {app.name} in: {', '.join(own)}",
            "leave --limit out",
        )
