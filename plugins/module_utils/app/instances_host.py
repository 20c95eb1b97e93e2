# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The instances of a template unit on this host: what systemd says of them, and the steps of a plan."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .instances import (
    Action,
    Instance,
    Stopped,
    Waited,
    ends,
    from_properties,
    instance_of,
    parse_show,
    stopped_from,
    wait_until,
)

Run = Callable[[Sequence[str]], "tuple[int, str, str]"]
"""Runs a command; returns its exit code, output and errors."""

PROPERTIES = (
    "Id,ActiveState,SubState,Result,NRestarts,NeedDaemonReload,ExecMainStartTimestampMonotonic"
    ",InactiveEnterTimestampMonotonic"
)
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "*": "127.0.0.1", "": "127.0.0.1"}
PROBE_TIMEOUT_SECONDS = 5
SETTLE_SECONDS = 2
# An instance that ended this often while it was waited for would go on doing so.
ENDS_MAX = 3
JOURNAL_LINES = 20


class InstanceProblem(Exception):
    """A step failed; the message says which, and what to look at."""


@dataclass(frozen=True)
class Probe:
    """How an instance proves that it is ready: ``kind`` is http, heartbeat or running."""

    kind: str
    address: str
    path: str
    heartbeat_file: str
    heartbeat_seconds: int
    timeout_seconds: int


class Systemd:
    """The instances of one template unit, as systemd knows them."""

    def __init__(self, run: Run, template: str) -> None:
        self.run = run
        self.template = template
        self.began = time.time()

    def unit(self, instance: int) -> str:
        return f"{self.template}@{instance}.service"

    def _call(self, *arguments: str) -> str:
        code, out, err = self.run(["systemctl", *arguments])
        if code != 0:
            raise InstanceProblem(f"systemctl {' '.join(arguments)} failed: {err.strip() or out.strip()}")
        return out

    def properties(self, instances: Sequence[int]) -> dict[int, Mapping[str, str]]:
        if not instances:
            return {}
        blocks = parse_show(self._call("show", f"--property={PROPERTIES}", *map(self.unit, instances)))
        return dict(zip(instances, blocks))

    def enabled(self) -> set[int]:
        links = Path("/etc/systemd/system").glob(f"*.wants/{self.template}@*.service")
        return self._instances(link.name for link in links)

    def loaded(self) -> set[int]:
        listed = self._call("list-units", "--all", "--plain", "--no-legend", f"{self.template}@*.service")
        return self._instances(line.split()[0] for line in listed.splitlines() if line.split())

    def _instances(self, units: Iterable[str]) -> set[int]:
        return {name for name in (instance_of(unit, self.template) for unit in units) if name is not None}

    def read(self, wanted: Collection[int]) -> list[Instance]:
        enabled = self.enabled()
        names = sorted(enabled | self.loaded() | set(wanted))
        properties = self.properties(names)
        return [
            from_properties(name, properties[name], name in enabled, time.time(), time.monotonic()) for name in names
        ]

    def reload(self) -> None:
        self._call("daemon-reload")

    def apply(self, verb: str, instances: Sequence[int]) -> None:
        """Do one kind of step to all of these instances at once."""
        units = [self.unit(instance) for instance in instances]
        if not units:
            return
        arguments = ["disable", "--now"] if verb == "retire" else [verb]
        try:
            self._call(*arguments, "--quiet", *units)
        except InstanceProblem as problem:
            raise InstanceProblem(f"{problem}\n{self.journal(units)}".rstrip()) from problem

    def journal(self, units: Sequence[str]) -> str:
        """The last lines of these units since this run began, to be read by people."""
        choice = [f"--since=@{int(self.began)}", *(f"--unit={unit}" for unit in units)]
        lines = ["journalctl", "--quiet", "--no-pager", "--output=short-iso", f"--lines={JOURNAL_LINES}", *choice]
        return self.run(lines)[1].strip()


def _answers(address: str, port: int, path: str) -> tuple[bool, str]:
    host = WILDCARDS.get(address, address)
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"
    connection = http.client.HTTPConnection(host, port, timeout=PROBE_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path, headers={"Connection": "close", "User-Agent": "slipway.stack"})
        answer = connection.getresponse()
        body = answer.read(200).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return False, f"GET {url}: {error}"
    finally:
        connection.close()
    ready = 200 <= answer.status < 400
    return ready, f"GET {url}: {answer.status}" + ("" if ready else f" {body}")


def _beats(path: str, started_at: float, seconds: int) -> tuple[bool, str]:
    try:
        written_at = Path(path).stat().st_mtime
    except OSError as error:
        return False, f"heartbeat {path}: {error.strerror}"
    age = max(0.0, time.time() - written_at)
    if written_at < started_at:
        return False, f"heartbeat {path}: not written since the start"
    return age <= seconds, f"heartbeat {path}: {age:.1f} s old"


def look(systemd: Systemd, probe: Probe, instance: int, properties: Mapping[str, str]) -> tuple[bool, str]:
    """Whether an instance is ready, and how that shows."""
    state = f"{properties.get('ActiveState')} ({properties.get('SubState')})"
    if properties.get("ActiveState") != "active":
        return False, f"{state}, last result {properties.get('Result')}, {properties.get('NRestarts')} restarts"
    now = time.time()
    started_at = from_properties(instance, properties, True, now, time.monotonic()).started_at or now
    if probe.kind == "http":
        return _answers(probe.address, instance, probe.path)
    if now - started_at < SETTLE_SECONDS:
        return False, f"{state} for {now - started_at:.1f} s"
    if probe.kind == "heartbeat":
        # The kernel stamps files with its coarse clock, up to one tick behind the one that stamps the start.
        path = probe.heartbeat_file.replace("{instance}", str(instance))
        return _beats(path, started_at - 0.02, probe.heartbeat_seconds)
    return True, f"{state} for {now - started_at:.1f} s"


def prove(systemd: Systemd, probe: Probe, instance: int) -> Waited:
    """Wait until an instance is ready.

    Raises:
        InstanceProblem: when it ended ENDS_MAX times meanwhile, or is not ready in time.
    """
    unit = systemd.unit(instance)
    before: list[int] = []

    def asked() -> tuple[bool, str]:
        properties = systemd.properties([instance])[instance]
        # Restarts of an earlier trouble are not this start's.
        before.append(int(properties.get("NRestarts") or 0))
        ready, evidence = look(systemd, probe, instance, properties)
        ended = ends(properties) - before[0]
        if not ready and ended >= ENDS_MAX:
            raise _not_ready(systemd, unit, f": it ended {ended} times while it was waited for; {evidence}")
        return ready, evidence

    waited = wait_until(asked, probe.timeout_seconds, time.monotonic, time.sleep)
    if not waited.ready:
        raise _not_ready(systemd, unit, f" after {probe.timeout_seconds} s: {waited.evidence}")
    return waited


def _not_ready(systemd: Systemd, unit: str, why: str) -> InstanceProblem:
    return InstanceProblem(f"{unit} is not ready{why}; see: journalctl -u {unit}\n{systemd.journal([unit])}".rstrip())


def run_all(systemd: Systemd, probe: Probe, wanted: Sequence[int], actions: Sequence[Action]) -> dict[int, Waited]:
    """Do all but restarts at once, then restart one by one, and prove every declared instance ready."""
    if actions:
        systemd.reload()
    for verb in ("retire", "enable", "start"):
        systemd.apply(verb, [action.instance for action in actions if action.verb == verb])
    restarts = [action.instance for action in actions if action.verb == "restart"]
    proven = {instance: prove(systemd, probe, instance) for instance in wanted if instance not in restarts}
    for instance in restarts:
        systemd.apply("restart", [instance])
        proven[instance] = prove(systemd, probe, instance)
    return proven


def stop_all(systemd: Systemd, actions: Sequence[Action]) -> dict[int, Stopped]:
    """Stop the instances of a plan at once, each within the stop timeout of its unit, and say how they ended.

    Raises:
        InstanceProblem: when one of them is not down afterwards.
    """
    instances = [action.instance for action in actions]
    told_at = time.monotonic()
    systemd.apply("stop", instances)
    properties = systemd.properties(instances)
    for instance in instances:
        state = properties[instance].get("ActiveState")
        if state not in ("inactive", "failed"):
            unit = systemd.unit(instance)
            raise InstanceProblem(f"{unit} was told to stop and is {state}; see: systemctl status {unit}")
    return {instance: stopped_from(properties[instance], told_at) for instance in instances}
