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
    """

    name: int
    running: bool
    enabled: bool
    started_at: float | None = None
    outdated: bool = False


@dataclass(frozen=True)
class Action:
    """One step: ``retire`` (stop and disable), ``enable``, ``start`` or ``restart`` of one instance."""

    verb: str
    instance: int


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
    )


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


def describe(current: Iterable[Instance], wanted: Collection[int], actions: Iterable[Action]) -> dict[str, str]:
    """The plan as a diff: one line per instance before and after."""
    before, after = {}, {}
    for instance in current:
        if instance.running or instance.enabled:
            state = "running" if instance.running else "stopped"
            before[instance.name] = f"{state}, {'enabled' if instance.enabled else 'disabled'}"
    restarted = {action.instance for action in actions if action.verb == "restart"}
    for name in wanted:
        after[name] = "running, enabled" + (" (restarted)" if name in restarted else "")
    return {
        side: "".join(f"{name}: {lines[name]}\n" for name in sorted(lines))
        for side, lines in (("before", before), ("after", after))
    }


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
