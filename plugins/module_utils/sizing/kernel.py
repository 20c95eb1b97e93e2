# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kernel settings for what runs on a host, each with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .model import Setting, clamp, whole

SERVICES = ("edge", "app", "postgresql", "redis", "etcd", "pgbouncer", "backup", "monitoring")
EPHEMERAL_PORTS = (10000, 65535)
# Below this, allocations that nobody will use (Node and Go reserve much) would fail under strict accounting.
_STRICT_OVERCOMMIT_FROM_MB = 4096
_DATABASES = frozenset({"postgresql", "redis"})


@dataclass(frozen=True)
class Kernel:
    """sysctl settings, in the order in which to set them, and what becomes of transparent huge pages.

    ``transparent_hugepages`` is the setting to enforce ("never"), or None where the distribution's may stay.
    """

    sysctl: tuple[Setting, ...]
    transparent_hugepages: Setting | None


def huge_pages(shared_memory_in_huge_pages: int) -> int:
    """Pages to set aside for PostgreSQL: what ``postgres -C shared_memory_size_in_huge_pages`` says, and 2 % more."""
    pages = whole("shared_memory_in_huge_pages", shared_memory_in_huge_pages, 0)
    return pages + (pages + 49) // 50


def kernel_settings(
    services: Iterable[str],
    memory_mb: int,
    container: bool = False,
    huge_pages: int = 0,
    reserved_ports: Iterable[int] = (),
    overrides: Mapping[str, Any] | None = None,
) -> Kernel:
    """Settings for a host of ``memory_mb`` MiB that runs ``services`` (names of SERVICES).

    ``huge_pages`` is how many pages of 2 MiB PostgreSQL is to have (0: leave the kernel's number alone).
    ``reserved_ports`` are ports that services listen on; those in the ephemeral range are kept from being handed out
    to clients. In a container, memory is accounted for by the cgroup: strict overcommit is not asked for.
    ``overrides`` replace values by key, None leaves a key to the distribution, and other keys are added.
    Raises ValueError naming the argument and the form expected.
    """
    names = list(dict.fromkeys(services))
    unknown = [name for name in names if name not in SERVICES]
    if unknown:
        raise ValueError(
            "services: unknown {}; expected some of {}".format(", ".join(map(str, unknown)), ", ".join(SERVICES))
        )
    memory = whole("memory_mb", memory_mb, 1)
    present = frozenset(names)
    pages = whole("huge_pages", huge_pages, 0)
    if pages * 2 > memory * 7 // 10:
        raise ValueError(f"huge_pages is {pages} ({pages * 2} MB); expected at most 70 % of the memory, {memory} MB")
    settings = (
        *_network(reserved_ports),
        *_memory(present, memory),
        *_overcommit(present, memory, container),
        *(
            [Setting("vm.nr_hugepages", str(pages), "PostgreSQL's shared memory in huge pages")]
            if pages and "postgresql" in present
            else []
        ),
    )
    return Kernel(
        sysctl=_override(settings, overrides or {}),
        transparent_hugepages=(
            Setting("transparent_hugepage/enabled", "never", "latency spikes while pages are merged or copied on write")
            if present & _DATABASES
            else None
        ),
    )


def _override(settings: tuple[Setting, ...], overrides: Mapping[str, Any]) -> tuple[Setting, ...]:
    left = {key for key, value in overrides.items() if value is None}
    given = {
        key: Setting(key, str(value), "set by the operator") for key, value in overrides.items() if key not in left
    }
    kept = {setting.name: setting for setting in settings if setting.name not in left}
    return tuple({**kept, **given}.values())


def _network(reserved_ports: Iterable[int]) -> tuple[Setting, ...]:
    low, high = EPHEMERAL_PORTS
    ports = sorted({whole("reserved_ports", port, 1) for port in reserved_ports})
    reserved = ranges([port for port in ports if low <= port <= high])
    return (
        Setting("net.core.somaxconn", "65535", "bursts of connections wait instead of being dropped"),
        Setting("net.core.netdev_max_backlog", "8192", "packets wait for a busy processor"),
        Setting("net.ipv4.tcp_max_syn_backlog", "8192", "half-open connections wait"),
        Setting("net.ipv4.tcp_syncookies", "1", "a flood of SYN does not lock others out"),
        *(
            [Setting("net.ipv4.ip_local_reserved_ports", reserved, "services listen there: never given to a client")]
            if reserved
            else []
        ),
        Setting("net.ipv4.ip_local_port_range", f"{low} {high}", "a proxy needs a port for each upstream connection"),
        Setting("net.ipv4.tcp_tw_reuse", "1", "outgoing connections take over ports in TIME-WAIT"),
        Setting("net.ipv4.tcp_fin_timeout", "15", "half-closed connections go sooner"),
        Setting("net.ipv4.tcp_keepalive_time", "60", "a peer that vanished is noticed after 2 minutes, not 2 hours"),
        Setting("net.ipv4.tcp_keepalive_intvl", "20", "see tcp_keepalive_time"),
        Setting("net.ipv4.tcp_keepalive_probes", "3", "see tcp_keepalive_time"),
        Setting("net.core.default_qdisc", "fq", "paces what BBR sends"),
        Setting("net.ipv4.tcp_congestion_control", "bbr", "better throughput over lossy and long paths"),
    )


def ranges(ports: list[int]) -> str:
    """Sorted ports as the kernel writes them: "16379-16384,30000"."""
    runs: list[list[int]] = []
    for port in ports:
        if runs and port == runs[-1][-1] + 1:
            runs[-1].append(port)
        else:
            runs.append([port])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _memory(present: frozenset[str], memory_mb: int) -> tuple[Setting, ...]:
    background = clamp(memory_mb // 20, 16, 64)
    dirty = clamp(memory_mb // 5, 64, 512)
    database = bool(present & _DATABASES)
    return (
        Setting(
            "vm.swappiness",
            "1" if database else "10",
            "a database in swap is a database that stands still" if database else "swap is a last resort",
        ),
        Setting(
            "vm.dirty_background_bytes",
            str(background * 1024**2),
            "writing starts at a twentieth of the memory, 16 to 64 MB: no stall when a checkpoint syncs",
        ),
        Setting("vm.dirty_bytes", str(dirty * 1024**2), "writers wait at a fifth of the memory, 64 to 512 MB"),
    )


def _overcommit(present: frozenset[str], memory_mb: int, container: bool) -> tuple[Setting, ...]:
    if "redis" in present:
        return (Setting("vm.overcommit_memory", "1", "Redis forks to save, and the copy is never fully used"),)
    if present == {"postgresql"} and memory_mb >= _STRICT_OVERCOMMIT_FROM_MB and not container:
        return (
            # The kernel takes the ratio of what is left after huge pages.
            Setting("vm.overcommit_ratio", "80", "of the memory that is not in huge pages; the rest is for caches"),
            Setting("vm.overcommit_memory", "2", "PostgreSQL alone: a query fails instead of the server being killed"),
        )
    return (Setting("vm.overcommit_memory", "0", "the host is shared: the kernel's heuristic"),)
