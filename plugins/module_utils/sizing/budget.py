# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One memory budget for everything that runs on a host.

A PostgreSQL server that is alone gets R = the whole memory: its formulas (shared_buffers R/4) leave the rest to the
page cache and the system already. Everywhere else the system keeps an eighth of the memory (96 to 1024 MiB), and the
rest is divided in proportion to weights, nobody below their floor and nobody above their limit; what a limited service
does not take goes to the others. ``_KINDS`` below is the table of weights, floors and limits.

Example, the guides' single server of 8192 MiB with an edge, PostgreSQL, Redis and four instances of one application:
the system keeps 1024, the edge gets 341, PostgreSQL 2731, Redis 1365, each instance 682.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .model import clamp, whole

# Shares are found in steps of 1/_STEPS MiB of weight 1, with whole numbers only, so that they grow with the memory.
_STEPS = 16
_APP_LIMIT_MB = 2048
_APP_FLOOR_MB = 96


@dataclass(frozen=True)
class Share:
    """A claim on memory: ``count`` instances, each of ``weight``, within ``floor_mb`` and ``limit_mb`` (or None)."""

    label: str
    count: int
    weight: float
    floor_mb: int
    limit_mb: int | None

    def each_mb(self, level: int) -> int:
        """MiB of one instance at a water level (in 1/_STEPS MiB per weight 1)."""
        share = int(self.weight * level) // _STEPS
        return max(self.floor_mb, share if self.limit_mb is None else min(share, self.limit_mb))


@dataclass(frozen=True)
class Budget:
    """MiB for everyone on a host; 0 for what is not on it. ``worst_case_mb`` is the sum when all use all of theirs.

    ``fits``: nobody had to be given more than there is, so that ``worst_case_mb`` is at most the host's memory.
    """

    host_mb: int
    os_mb: int
    postgresql_mb: int
    redis_mb_per_instance: int
    edge_mb: int
    other_mb: dict[str, int]
    app_limits_mb: dict[str, int]
    worst_case_mb: int
    fits: bool
    explanation: tuple[str, ...]


def os_reserve_mb(host_memory_mb: int) -> int:
    """What the system, its caches and its daemons keep on a shared host: an eighth, 96 to 1024 MiB."""
    return clamp(host_memory_mb // 8, 96, 1024)


def memory_budget(host_memory_mb: int, services: Iterable[Mapping[str, Any]]) -> Budget:
    """Divide a host's memory (MiB) among its services.

    A service is a mapping with ``name``: ``postgresql``, ``edge``, ``etcd``, ``pgbouncer``, ``backup``, ``monitoring``,
    ``redis`` (``instances``, 1), or ``app`` (``app``: its name, ``instances``, 1; ``limit_mb``, 2048: the most one
    instance gets; ``fixed``: true when the operator insists on ``limit_mb``, which is then never lowered). Raises
    ValueError naming the service and the form expected.
    """
    host_mb = whole("host_memory_mb", host_memory_mb, 1)
    shares = [_share(service) for service in services]
    labels = [share.label for share in shares]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ValueError("services: given twice: {}".format(", ".join(twice)))
    if labels == ["postgresql"]:
        return _dedicated_postgresql(host_mb)
    os_mb = os_reserve_mb(host_mb)
    level = _level(shares, host_mb - os_mb)
    each = {share.label: share.each_mb(level) for share in shares}
    worst = os_mb + sum(share.count * each[share.label] for share in shares)
    fits = worst <= host_mb
    explanation = [f"host: {host_mb} MB, of which the system keeps {os_mb} MB (an eighth, 96 to 1024 MB)"]
    explanation += [_line(share, each[share.label]) for share in shares]
    explanation.append(
        f"worst case: {worst} MB of {host_mb} MB"
        if fits
        else f"does not fit: everyone at their least need {worst} MB, the host has {host_mb} MB; "
        "add memory, run fewer instances, or move a service to another host"
    )
    return Budget(
        host_mb=host_mb,
        os_mb=os_mb,
        postgresql_mb=each.get("postgresql", 0),
        redis_mb_per_instance=each.get("redis", 0),
        edge_mb=each.get("edge", 0),
        other_mb={label: each[label] for label in labels if label in _OTHER},
        app_limits_mb={label[4:]: each[label] for label in labels if label.startswith("app ")},
        worst_case_mb=worst,
        fits=fits,
        explanation=tuple(explanation),
    )


def _dedicated_postgresql(host_mb: int) -> Budget:
    fits = host_mb >= _POSTGRESQL_FLOOR_MB
    return Budget(
        host_mb=host_mb,
        os_mb=0,
        postgresql_mb=host_mb,
        redis_mb_per_instance=0,
        edge_mb=0,
        other_mb={},
        app_limits_mb={},
        worst_case_mb=host_mb,
        fits=fits,
        explanation=(
            f"postgresql: alone on the host, so R is its whole memory, {host_mb} MB: shared_buffers takes a quarter, "
            "and the rest is left to the page cache and the system",
            *([] if fits else [f"does not fit: PostgreSQL needs {_POSTGRESQL_FLOOR_MB} MB at least; add memory"]),
        ),
    )


def _level(shares: list[Share], available_mb: int) -> int:
    """The highest level at which all shares fit into what is available; 0 when not even the floors do."""

    def total(level: int) -> int:
        return sum(share.count * share.each_mb(level) for share in shares)

    low, high = 0, max(1, available_mb) * _STEPS * 1000
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if total(middle) <= available_mb else (low, middle - 1)
    return low


def _line(share: Share, each_mb: int) -> str:
    total = f"{share.count} x {each_mb} MB" if share.count > 1 else f"{each_mb} MB"
    limited = share.limit_mb is not None and each_mb < share.limit_mb
    note = (
        f", lowered from {share.limit_mb} MB to what the host has" if limited and share.label.startswith("app ") else ""
    )
    return f"{share.label}: {total}{note}"


_POSTGRESQL_FLOOR_MB = 256
_OTHER = ("etcd", "pgbouncer", "backup", "monitoring")


def _share(service: Mapping[str, Any]) -> Share:
    name = service.get("name")
    if name not in _KINDS:
        raise ValueError("services: name is {!r}; expected one of {}".format(name, ", ".join(_KINDS)))
    build, options = _KINDS[name]
    unknown = sorted(set(service) - {"name", *options})
    if unknown:
        raise ValueError(
            "services: {} has unknown keys {}; expected {}".format(
                name, ", ".join(map(str, unknown)), ", ".join(["name", *options])
            )
        )
    return build(service)


def _app(service: Mapping[str, Any]) -> Share:
    app = service.get("app")
    if not app or not isinstance(app, str):
        raise ValueError(f"services: app is {app!r}; expected the application's name")
    limit = whole(f"services: {app}: limit_mb", service.get("limit_mb", _APP_LIMIT_MB), 1)
    instances = whole(f"services: {app}: instances", service.get("instances", 1), 1)
    floor = limit if service.get("fixed") else min(_APP_FLOOR_MB, limit)
    return Share(f"app {app}", instances, 2, floor, limit)


def _redis(service: Mapping[str, Any]) -> Share:
    instances = whole("services: redis: instances", service.get("instances", 1), 1)
    return Share("redis", instances, 4 / instances, 64, None)


def _fixed(label: str, weight: float, floor_mb: int, limit_mb: int | None) -> Callable[[Mapping[str, Any]], Share]:
    return lambda service: Share(label, 1, weight, floor_mb, limit_mb)


_KINDS: dict[Any, tuple[Callable[[Mapping[str, Any]], Share], tuple[str, ...]]] = {
    "postgresql": (_fixed("postgresql", 8, _POSTGRESQL_FLOOR_MB, None), ()),
    "redis": (_redis, ("instances",)),
    "app": (_app, ("app", "instances", "limit_mb", "fixed")),
    "edge": (_fixed("edge", 1, 48, 512), ()),
    "etcd": (_fixed("etcd", 1, 64, 512), ()),
    "pgbouncer": (_fixed("pgbouncer", 0.5, 32, 128), ()),
    "backup": (_fixed("backup", 0.5, 64, 256), ()),
    "monitoring": (_fixed("monitoring", 2, 192, 2048), ()),
}
