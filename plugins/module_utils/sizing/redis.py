# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings of one Redis instance from its memory budget, each with its reason."""

from __future__ import annotations

from .model import Setting, clamp, whole

POLICIES = (
    "noeviction",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
)
MINIMUM_MEMORY_MB = 32
_SHARE_PERSISTENT = 65
_SHARE_VOLATILE = 80


def redis_settings(memory_mb: int, policy: str = "noeviction", persistent: bool = True) -> tuple[Setting, ...]:
    """Settings of an instance that may use ``memory_mb`` MiB (at least 32) in all.

    With persistence, maxmemory is 65 % of the budget: while a snapshot or an AOF rewrite runs, pages that are written
    exist twice. Without it, 80 %: buffers and fragmentation remain. ``policy`` is ``noeviction`` for a store (sessions,
    streams), an ``allkeys`` one for a cache. Raises ValueError naming the argument and the form expected.
    """
    budget = whole("memory_mb", memory_mb, MINIMUM_MEMORY_MB)
    if policy not in POLICIES:
        raise ValueError("policy is {!r}; expected one of {}".format(policy, ", ".join(POLICIES)))
    share = _SHARE_PERSISTENT if persistent else _SHARE_VOLATILE
    maxmemory = budget * share // 100
    backlog = clamp(maxmemory // 64, 1, 64)
    why = "pages written while a snapshot runs exist twice" if persistent else "the rest is buffers and fragmentation"
    settings = (
        Setting("maxmemory", f"{maxmemory}mb", f"{share} % of the budget of {budget} MB: {why}"),
        Setting(
            "maxmemory-policy",
            policy,
            "a store must not lose keys" if policy == "noeviction" else "declared a cache: old keys may go",
        ),
        Setting(
            "repl-backlog-size", f"{backlog}mb", "maxmemory/64, 1 to 64 MB: a replica soon back needs no full copy"
        ),
        Setting("tcp-backlog", "511", "below the kernel's net.core.somaxconn", True),
    )
    if not persistent:
        return (
            *settings,
            Setting("save", '""', "not persistent: no snapshots"),
            Setting("appendonly", "no", "not persistent: no append-only file"),
        )
    return (
        *settings,
        Setting("save", "900 1 300 10 60 10000", "a snapshot after 15, 5 or 1 min with 1, 10 or 10,000 changes"),
        Setting("appendonly", "yes", "survives a crash"),
        Setting("appendfsync", "everysec", "loses a second at most, without waiting for the disk at each write"),
    )
