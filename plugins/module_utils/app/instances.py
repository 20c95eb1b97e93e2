# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The instances of one systemd template unit: which are there, which should be, and the way between.

Times are seconds since the epoch; clocks and probes are passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Instance:
    """What systemd says about one instance.

    ``running`` also holds for an instance that waits for its next automatic restart.
    ``outdated`` means that its unit file changed after systemd read it.
    ``stopping`` means that it was told to stop and has not ended yet.
    """

    name: int
    running: bool
    enabled: bool
    started_at: float | None = None
    outdated: bool = False
    stopping: bool = False


@dataclass(frozen=True)
class Action:
    """One step: ``retire`` (stop and disable), ``enable``, ``start``, ``restart`` or ``stop`` of one instance."""

    verb: str
    instance: int


@dataclass(frozen=True)
class Stopped:
    """How an instance ended: after how many seconds, and what systemd calls the result.

    ``killed`` means that its unit's stop timeout ran out, so that systemd killed it.
    """

    seconds: float
    killed: bool
    result: str


@dataclass(frozen=True)
class Waited:
    """How a wait ended: whether the probe agreed, the last evidence, and the seconds it took."""

    ready: bool
    evidence: str
    seconds: float


def parse_show(text: str) -> tuple[Mapping[str, str], ...]:
    """The blocks of ``systemctl show UNIT...``, one mapping of properties per unit."""
    blocks = []
    for block in text.strip().split("\n\n"):
        lines = (line.partition("=") for line in block.splitlines() if "=" in line)
        properties = {key: value for key, _equals, value in lines}
        if properties:
            blocks.append(properties)
    return tuple(blocks)


def instance_of(unit: str, template: str) -> int | None:
    """The number in ``TEMPLATE@NUMBER.service``, or None for any other unit."""
    prefix, suffix = f"{template}@", ".service"
    if not unit.startswith(prefix) or not unit.endswith(suffix):
        return None
    name = unit[len(prefix) : -len(suffix)]
    return int(name) if name.isdigit() else None


def from_properties(
    name: int, properties: Mapping[str, str], enabled: bool, now: float, monotonic_now: float
) -> Instance:
    """An instance from systemd's properties.

    The start is given in microseconds of the monotonic clock, which needs no parsing of dates.
    """
    started = int(properties.get("ExecMainStartTimestampMonotonic") or 0) / 1e6
    return Instance(
        name=name,
        running=properties.get("ActiveState") in ("active", "activating", "reloading"),
        enabled=enabled,
        started_at=now - (monotonic_now - started) if started else None,
        outdated=properties.get("NeedDaemonReload") == "yes",
        stopping=properties.get("ActiveState") == "deactivating",
    )


def stopped_from(properties: Mapping[str, str], told_at: float) -> Stopped:
    """How an instance ended that was told to stop at ``told_at``, in seconds of the monotonic clock, and is down."""
    ended_at = int(properties.get("InactiveEnterTimestampMonotonic") or 0) / 1e6
    result = properties.get("Result", "")
    return Stopped(max(0.0, ended_at - told_at), result == "timeout", result)


def ends(properties: Mapping[str, str]) -> int:
    """How often an instance has ended by itself since it was started, as the automatic restarts tell.

    One that waits for its next restart has ended once more than it was restarted.
    """
    waits = properties.get("SubState", "").startswith("auto-restart")
    return int(properties.get("NRestarts") or 0) + waits


def plan(
    current: Iterable[Instance], wanted: Collection[int], configured_at: float = 0.0, restart: bool = False
) -> tuple[Action, ...]:
    """What to do, in order: retire what is not wanted, enable, start what stands, restart what is behind.

    An instance is behind when it was started before ``configured_at``, when its unit changed under
    it, or when ``restart`` says that its configuration is about to change. Restarts come last and
    are meant to be done one at a time.
    """
    known = {instance.name: instance for instance in current}
    retire, enable, start, again = [], [], [], []
    for name in sorted(known):
        if name not in wanted and (known[name].running or known[name].enabled):
            retire.append(Action("retire", name))
    for name in sorted(wanted):
        instance = known.get(name, Instance(name, running=False, enabled=False))
        if not instance.enabled:
            enable.append(Action("enable", name))
        if not instance.running:
            start.append(Action("start", name))
        elif restart or instance.outdated or (instance.started_at is not None and instance.started_at < configured_at):
            again.append(Action("restart", name))
    return tuple(retire + enable + start + again)


def plan_stop(current: Iterable[Instance], wanted: Collection[int]) -> tuple[Action, ...]:
    """Stop those of the declared instances that are not down, also those that another run is stopping."""
    names = sorted(instance.name for instance in current if instance.running or instance.stopping)
    return tuple(Action("stop", name) for name in names if name in wanted)


def describe(current: Iterable[Instance], actions: Iterable[Action]) -> dict[str, str]:
    """The plan as a diff: one line per instance before and after."""
    before = {instance.name: (instance.running, instance.enabled) for instance in current}
    after, restarted = dict(before), set()
    for action in actions:
        running, enabled = after.get(action.instance, (False, False))
        after[action.instance] = {
            "retire": (False, False),
            "enable": (running, True),
            "start": (True, enabled),
            "restart": (True, enabled),
            "stop": (False, enabled),
        }[action.verb]
        if action.verb == "restart":
            restarted.add(action.instance)
    return {"before": _lines(before), "after": _lines(after, restarted)}


def _lines(states: Mapping[int, tuple[bool, bool]], restarted: Collection[int] = ()) -> str:
    return "".join(
        f"{name}: {'running' if running else 'stopped'}, {'enabled' if enabled else 'disabled'}"
        f"{' (restarted)' if name in restarted else ''}\n"
        for name, (running, enabled) in sorted(states.items())
        if running or enabled
    )


def wait_until(
    probe: Callable[[], tuple[bool, str]],
    timeout_seconds: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    interval_seconds: float = 0.25,
) -> Waited:
    """Ask ``probe`` until it agrees or the time is up; it is asked at least once."""
    began = clock()
    while True:
        ready, evidence = probe()
        elapsed = clock() - began
        if ready or elapsed >= timeout_seconds:
            return Waited(ready, evidence, elapsed)
        sleep(interval_seconds)
