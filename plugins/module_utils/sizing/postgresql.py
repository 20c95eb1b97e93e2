# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PostgreSQL settings from a host's figures, each with its reason.

R is the memory budget of the server, C its processors, SB shared_buffers, N max_connections. Formulas follow pgtune
(https://github.com/le0pard/pgtune) except where its result is known to be wrong: max_worker_processes = C is below the
default of 8 on small hosts, and the floor of 64 MB for work_mem that others use runs out of memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .model import KIB_PER_MIB, Setting, clamp, parse_size, size, whole

PROFILES = ("web", "oltp", "olap", "mixed")
MINIMUM_MEMORY_MB = 128
OLDEST_VERSION = 14

_CONNECTIONS = {"web": 200, "oltp": 300, "olap": 40, "mixed": 100}
_MAX_WAL_MB = {"web": 4096, "oltp": 8192, "olap": 16384, "mixed": 4096}
_WORK_MEM_FLOOR_KIB = 4096
_AUTOVACUUM_WORKERS = 3


@dataclass(frozen=True)
class Server:
    """What the formulas need: memory budget and WAL disk in MiB (disk None where unknown), disk kind, workload."""

    memory_mb: int
    cores: int
    connections: int
    profile: str
    rotational: bool | None
    version: int
    wal_disk_mb: int | None

    @property
    def shared_buffers_mb(self) -> int:
        """SB in MiB."""
        return self.memory_mb // 4

    @property
    def max_wal_mb(self) -> int:
        """WAL between checkpoints in MiB."""
        wanted = _MAX_WAL_MB[self.profile]
        return wanted if self.wal_disk_mb is None else clamp(wanted, 128, self.wal_disk_mb // 5)


def default_connections(memory_mb: int, profile: str) -> int:
    """N where none is given: one per 16 MiB of R, at least 20, at most the profile's (web 200, others pgtune's)."""
    return clamp(memory_mb // 16, 20, _CONNECTIONS[profile])


def postgresql_settings(
    memory_mb: int,
    cores: int,
    max_connections: int | None = None,
    profile: str = "web",
    rotational: bool | None = None,
    version: int = 15,
    wal_disk_mb: int | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> tuple[Setting, ...]:
    """Every setting that sizing decides, in the order of a configuration file.

    ``memory_mb`` is the budget R in MiB (at least 128): the whole memory of a host that serves nothing else.
    ``max_connections`` None takes :func:`default_connections`. ``rotational`` None (unknown) counts as SSD.
    ``wal_disk_mb`` is the size of the file system that holds pg_wal. ``overrides`` replace values or add settings.
    Raises ValueError naming the argument and the form expected.
    """
    if profile not in PROFILES:
        raise ValueError("profile is {!r}; expected one of {}".format(profile, ", ".join(PROFILES)))
    budget = whole("memory_mb", memory_mb, MINIMUM_MEMORY_MB)
    server = Server(
        memory_mb=budget,
        cores=whole("cores", cores, 1),
        connections=(
            default_connections(budget, profile)
            if max_connections is None
            else whole("max_connections", max_connections, 1)
        ),
        profile=profile,
        rotational=rotational,
        version=whole("version", version, OLDEST_VERSION),
        wal_disk_mb=None if wal_disk_mb is None else whole("wal_disk_mb", wal_disk_mb, 1),
    )
    settings = (*_memory(server), *_workers(server), *_wal(server), *_planner(server), *_logging(), *_security(server))
    return _override(settings, overrides or {}, server)


def _memory(server: Server) -> tuple[Setting, ...]:
    r_mb, sb_mb, n = server.memory_mb, server.shared_buffers_mb, server.connections
    share = 8 if server.profile == "olap" else 16
    maintenance = clamp(r_mb // share, 16, 2048)
    autovacuum = clamp(maintenance // _AUTOVACUUM_WORKERS, 16, 512)
    return (
        Setting("max_connections", str(n), "as given, or by profile and memory; a pooler in front lets more in", True),
        Setting("shared_buffers", size(sb_mb), f"R/4 with R = {r_mb} MB", True),
        Setting("huge_pages", "try", "taken where the kernel has set some aside, no failure where it has not", True),
        Setting("effective_cache_size", size(r_mb * 3 // 4), f"3R/4 with R = {r_mb} MB: what the page cache may hold"),
        _work_mem(server),
        Setting("maintenance_work_mem", size(maintenance), f"R/{share}, at most 2 GB"),
        Setting(
            "autovacuum_work_mem",
            size(autovacuum),
            f"maintenance_work_mem shared by {_AUTOVACUUM_WORKERS} workers that may run at once, 16 to 512 MB",
        ),
    )


def _work_mem(server: Server) -> Setting:
    divisor = (server.connections + server.cores) * 3
    halved = server.profile in ("olap", "mixed")
    free_kib = (server.memory_mb - server.shared_buffers_mb) * KIB_PER_MIB
    kib = free_kib // divisor // (2 if halved else 1)
    reason = "(R - SB) / ((N + C) * 3){}".format(", halved for profile " + server.profile if halved else "")
    if kib < _WORK_MEM_FLOOR_KIB:
        return Setting("work_mem", "4MB", reason + f" gives {kib} kB; 4 MB, PostgreSQL's default, is the least")
    return Setting("work_mem", size(kib // KIB_PER_MIB), reason)


def _workers(server: Server) -> tuple[Setting, ...]:
    cores = server.cores
    gather = max(2, cores // 2) if server.profile == "olap" else 2
    settings = (
        Setting("max_worker_processes", str(max(cores + 8, 16)), "max(C + 8, 16): never below what C needs", True),
        Setting("max_parallel_workers", str(cores), f"C = {cores}"),
        Setting(
            "max_parallel_workers_per_gather",
            str(min(gather, cores)),
            "C/2 for profile olap, 2 elsewhere, at most C",
        ),
        Setting("max_parallel_maintenance_workers", str(clamp((cores + 1) // 2, 1, 4)), "C/2, at most 4"),
    )
    if server.version < 18:
        return settings
    return (
        *settings,
        Setting("io_method", "worker", "io_uring fails where seccomp, the kernel or memlock forbids it", True),
        Setting("io_workers", str(clamp(cores // 4, 3, 32)), "C/4, from 3 to 32"),
    )


def _wal(server: Server) -> tuple[Setting, ...]:
    max_wal = server.max_wal_mb
    disk = "" if server.wal_disk_mb is None else f", at most 20 % of the {server.wal_disk_mb} MB of its file system"
    return (
        Setting(
            "wal_compression",
            "lz4" if server.version >= 15 else "on",
            "less WAL for a little CPU; lz4 from version 15 on",
        ),
        Setting("min_wal_size", size(max(max_wal // 4, 32)), "a quarter of max_wal_size"),
        Setting("max_wal_size", size(max_wal), f"{size(_MAX_WAL_MB[server.profile])} for {server.profile}{disk}"),
        Setting("checkpoint_timeout", "15min", "fewer full-page images; recovery takes longer"),
        Setting("checkpoint_completion_target", "0.9", "checkpoints spread over the interval"),
    )


def _planner(server: Server) -> tuple[Setting, ...]:
    disk = {None: "kind of disk unknown, taken for SSD", True: "the disk turns", False: "SSD"}[server.rotational]
    if server.rotational:
        concurrency = 2
    elif server.version < 18:
        concurrency = 200
    else:
        concurrency = 16 if server.rotational is None else 64
    olap = server.profile == "olap"
    return (
        Setting("random_page_cost", "4" if server.rotational else "1.1", disk),
        Setting("effective_io_concurrency", str(concurrency), f"{disk}, version {server.version}"),
        Setting("default_statistics_target", "500" if olap else "100", "500 for profile olap, the default elsewhere"),
        Setting("jit", "on" if olap else "off", "compiling pays for long analytical queries only"),
    )


def _logging() -> tuple[Setting, ...]:
    return (
        Setting("log_min_duration_statement", "1000", "statements slower than 1 s are logged (in ms)"),
        Setting("log_checkpoints", "on", "tells when max_wal_size is too small"),
        Setting("log_lock_waits", "on", "tells who waits for whom"),
        Setting("log_connections", "on", "who came in, for the audit"),
        Setting("log_disconnections", "on", "who left, and after how long"),
    )


def _security(server: Server) -> tuple[Setting, ...]:
    known = server.wal_disk_mb is not None
    keep = max(server.max_wal_mb, (server.wal_disk_mb or 0) * 3 // 10 if known else server.max_wal_mb * 2)
    return (
        Setting("password_encryption", "scram-sha-256", "md5 is broken"),
        Setting(
            "max_slot_wal_keep_size",
            size(keep),
            "an abandoned replication slot must not fill the disk: "
            + ("30 % of the WAL's file system" if known else "twice max_wal_size"),
        ),
    )


_SIZES = ("shared_buffers", "effective_cache_size", "work_mem", "maintenance_work_mem", "autovacuum_work_mem")
_RESTART = ("wal_buffers", "wal_level", "max_wal_senders", "max_replication_slots", "listen_addresses", "port")


def _override(settings: tuple[Setting, ...], overrides: Mapping[str, Any], server: Server) -> tuple[Setting, ...]:
    given = {name: _text(value) for name, value in overrides.items()}
    for name in _SIZES:
        if name in given:
            _check_size(name, given[name], server.memory_mb)
    reason = "set by the operator"
    known = {setting.name for setting in settings}
    return (
        *(
            Setting(setting.name, given[setting.name], f"{reason}; sizing says {setting.value}", setting.restart)
            if setting.name in given
            else setting
            for setting in settings
        ),
        *(
            Setting(name, value, reason, name in _RESTART or name.startswith("shared_preload"))
            for name, value in given.items()
            if name not in known
        ),
    )


def _text(value: Any) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def _check_size(name: str, text: str, memory_mb: int) -> None:
    if text.lstrip("-").isdigit():
        raise ValueError(f"{name} is {text!r}; expected a number with its unit, such as 8GB")
    if parse_size(name, text) > memory_mb * 1024**2:
        raise ValueError(f"{name} is {text}; expected at most the memory budget of the host, {memory_mb}MB")
