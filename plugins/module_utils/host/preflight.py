# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host lacks for what is to run on it, found before anything is changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from .findings import ERROR, WARNING, Finding
from .info import mountpoint_of

PROVEN_SYSTEMS = (("debian", "12"), ("debian", "13"))
UBUNTU_FROM = (22, 4)
ANSIBLE_CORE_FROM = (2, 19)
# What the kernel, the firmware and a file system keep of what is sold as 8 GB or 50 GB.
_TOLERATED_PERCENT = 10
_HIGHEST_PORT = 65535


@dataclass(frozen=True)
class Minimum:
    """What a service should find: processors, memory and disk in MiB."""

    cores: int
    memory_mb: int
    disk_mb: int


MINIMA: Mapping[str, Minimum] = {
    "edge": Minimum(1, 1024, 10240),
    "app": Minimum(1, 2048, 10240),
    "postgresql": Minimum(1, 3072, 20480),
    "redis": Minimum(1, 2048, 10240),
    "etcd": Minimum(1, 512, 10240),
    "pgbouncer": Minimum(0, 128, 0),
    "backup": Minimum(0, 256, 10240),
    "monitoring": Minimum(1, 2048, 20480),
}
"""By service; they add up. The first four are the guides' whole server: 4 cores, 8 GB, 50 GB."""


@dataclass(frozen=True)
class Port:
    """A TCP port that a service will listen on, and a pattern (as of file names) of the units that may hold it."""

    port: int
    purpose: str
    unit_pattern: str


@dataclass(frozen=True)
class Wanted:
    """What a host is checked against. ``disk_paths`` are where the stack writes; their file systems are looked at."""

    services: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    minima: Mapping[str, Minimum] = field(default_factory=lambda: MINIMA)
    disk_paths: tuple[str, ...] = ("/",)
    disk_free_percent_min: float = 20
    clock_skew_seconds_max: float = 1


def minima_with(overrides: Mapping[str, Mapping[str, Any]]) -> dict[str, Minimum]:
    """MINIMA, with figures replaced by service. Raises ValueError naming an unknown service, key or no number."""
    minima = dict(MINIMA)
    for service, figures in overrides.items():
        if service not in minima:
            raise ValueError("preflight_minima: {!r} is not one of {}".format(service, ", ".join(minima)))
        for key, value in figures.items():
            if key not in ("cores", "memory_mb", "disk_mb") or isinstance(value, bool) or not str(value).isdigit():
                raise ValueError(
                    f"preflight_minima.{service}: {key!r} is {value!r}; expected cores, memory_mb, disk_mb as numbers"
                )
        minima[service] = replace(minima[service], **{key: int(value) for key, value in figures.items()})
    return minima


def host_findings(host: str, facts: Mapping[str, Any], wanted: Wanted) -> tuple[Finding, ...]:
    """Everything that ``facts`` (as of the module host_info) lack on the host named ``host``."""
    return (
        *_system(host, facts),
        *_clock(host, facts, wanted.clock_skew_seconds_max),
        *_disk_space(host, facts, wanted),
        *_ports(host, facts, wanted.ports),
        *_minima(host, facts, wanted),
    )


def unread_finding(host: str, unreachable: bool, message: str) -> Finding:
    """The finding of a host whose facts could not be read."""
    lines = [line.strip() for line in message.removeprefix("Task failed: ").splitlines()]
    received = next((line for line in lines if line), "no answer")
    if unreachable:
        return Finding(
            ERROR,
            host,
            "ansible_host",
            f"unreachable: {received}",
            "a host that answers over SSH",
            "start the host or correct its address, user or key; or take it out of the inventory",
        )
    return Finding(
        ERROR,
        host,
        "host facts",
        f"not readable: {received}",
        "Python 3 at /usr/bin/python3 and a user who may become root",
        f"try: ansible {host} -b -m slipway.stack.host_info",
    )


def controller_findings(ansible_core: str) -> tuple[Finding, ...]:
    """What the controller lacks: ``ansible_core`` is its version, such as "2.19.3"."""
    parts = _numbers(ansible_core)
    if parts[:2] >= ANSIBLE_CORE_FROM:
        return ()
    minimum = ".".join(map(str, ANSIBLE_CORE_FROM))
    return (
        Finding(
            ERROR, "", "ansible-core", ansible_core, f"{minimum} or newer", f"pip install 'ansible-core>={minimum}'"
        ),
    )


def _numbers(version: str) -> tuple[int, ...]:
    numbers = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


def _system(host: str, facts: Mapping[str, Any]) -> Iterator[Finding]:
    distribution, version = str(facts.get("distribution", "")), str(facts.get("version", ""))
    if (distribution, version) in PROVEN_SYSTEMS:
        return
    newer_ubuntu = distribution == "ubuntu" and _numbers(version) >= UBUNTU_FROM
    yield Finding(
        WARNING if newer_ubuntu else ERROR,
        host,
        "distribution",
        f"{distribution} {version}".strip() or "unknown",
        "Debian 12 or 13 (proven); Ubuntu 22.04 or newer is expected to work, but not proven",
        "try it on a copy of the host first" if newer_ubuntu else "install one of these systems",
    )


def _clock(host: str, facts: Mapping[str, Any], maximum: float) -> Iterator[Finding]:
    """Refused only when the clock is off whatever the measurement took."""
    offset = facts.get("clock_offset_seconds")
    if offset is None:
        return
    uncertainty = float(facts.get("clock_uncertainty_seconds", 0))
    if abs(offset) - uncertainty <= maximum:
        return
    yield Finding(
        ERROR,
        host,
        "clock",
        "{:.1f} s {} the controller's (measured within {:.1f} s)".format(
            abs(offset), "ahead of" if offset > 0 else "behind", uncertainty
        ),
        f"at most {maximum:g} s apart",
        "synchronise the clocks of this host and of the controller: timedatectl set-ntp true",
    )


def _filesystems(facts: Mapping[str, Any], paths: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """The file systems that hold the paths, by mount point."""
    all_of_them: Mapping[str, Mapping[str, Any]] = facts.get("filesystems") or {}
    points = dict.fromkeys(mountpoint_of(path, all_of_them) for path in paths)
    return {point: all_of_them[point] for point in points if point in all_of_them}


def _disk_space(host: str, facts: Mapping[str, Any], wanted: Wanted) -> Iterator[Finding]:
    for point, space in _filesystems(facts, wanted.disk_paths).items():
        if space["free_percent"] < wanted.disk_free_percent_min:
            yield Finding(
                ERROR,
                host,
                f"disk space on {point}",
                "{} % free ({} of {} MB)".format(space["free_percent"], space["free_mb"], space["total_mb"]),
                f"at least {wanted.disk_free_percent_min:g} % free",
                "free or add space, or lower preflight_disk_free_percent_min",
            )


def _ports(host: str, facts: Mapping[str, Any], ports: Iterable[Port]) -> Iterator[Finding]:
    listeners: list[Mapping[str, Any]] = facts.get("listeners") or []
    for wanted in ports:
        if not 0 < wanted.port <= _HIGHEST_PORT:
            yield Finding(
                ERROR,
                host,
                wanted.purpose,
                str(wanted.port),
                f"a port from 1 to {_HIGHEST_PORT}",
                "choose another port",
            )
        for listener in listeners:
            if listener["port"] != wanted.port or fnmatchcase(listener["unit"] or "", wanted.unit_pattern):
                continue
            holder = "{} ({})".format(listener["process"] or "an unknown process", listener["unit"] or "no unit")
            yield Finding(
                ERROR,
                host,
                wanted.purpose,
                f"port {wanted.port}, which {holder} listens on at {listener['address']}",
                f"a free port, or one held by {wanted.unit_pattern}",
                f"stop {listener['unit'] or listener['process'] or 'what holds it'}, or choose another port",
            )
            break


def _minima(host: str, facts: Mapping[str, Any], wanted: Wanted) -> Iterator[Finding]:
    needed = [wanted.minima[service] for service in dict.fromkeys(wanted.services) if service in wanted.minima]
    disk_mb = sum(space["total_mb"] for space in _filesystems(facts, wanted.disk_paths).values())
    for name, has, least, unit in (
        ("cores", facts.get("cores", 0), sum(minimum.cores for minimum in needed), "cores"),
        ("memory", facts.get("memory_mb", 0), sum(minimum.memory_mb for minimum in needed), "MB"),
        ("disk", disk_mb, sum(minimum.disk_mb for minimum in needed), "MB"),
    ):
        tolerated = least if name == "cores" else least * (100 - _TOLERATED_PERCENT) // 100
        if has < tolerated:
            yield Finding(
                WARNING,
                host,
                name,
                f"{has} {unit}",
                "at least {} {} for {}".format(least, unit, ", ".join(dict.fromkeys(wanted.services))),
                "give the host more, or say in preflight_minima that less is enough",
            )
