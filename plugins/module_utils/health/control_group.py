# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a control group of Linux has and may have, in version 1 and 2 of them.

A group is named by its path below the root that the host sees: ``""`` for the host's own, ``/system.slice/x.service``
for a unit's. Sources: the kernel's cgroup-v2.rst and cgroup-v1/memory.rst.
"""

from __future__ import annotations

from dataclasses import dataclass

from .tools import Tools

_ROOT = "/sys/fs/cgroup"


@dataclass(frozen=True)
class Use:
    """How much of something is used, and the limit that it counts against; a limit of 0 is none."""

    used: float
    limit: float

    @property
    def percent(self) -> float:
        """The share of the limit that is used; 0 without a limit."""
        return 100 * self.used / self.limit if self.limit else 0.0


NOTHING = Use(0, 0)
"""For what is not counted."""


def is_version_1(tools: Tools) -> bool:
    """Whether memory is counted by version 1, in which systemd is not told of kills for want of memory."""
    return tools.read(f"{_ROOT}/memory/memory.usage_in_bytes") is not None


def memory_of(tools: Tools, group: str) -> Use | None:
    """Bytes that a group cannot give back at once, and its limit; ``None`` where memory is not counted for it."""
    for folder, usage, limit in (
        (f"{_ROOT}{group}", "memory.current", "memory.max"),
        (f"{_ROOT}/memory{group}", "memory.usage_in_bytes", "memory.limit_in_bytes"),
    ):
        found = limited_memory(
            tools.read(f"{folder}/{usage}"), tools.read(f"{folder}/{limit}"), tools.read(f"{folder}/memory.stat")
        )
        if found:
            return found
    return None


def limited_memory(usage: str | None, limit: str | None, stat: str | None) -> Use | None:
    """Read a group's memory from its files. A limit in words (``max``) is none.

    File cache and reclaimable slabs are given back under pressure, so they are not counted as used.
    """
    if usage is None or limit is None:
        return None
    # In version 1 the totals include the groups below this one.
    cache = sum(
        count(stat, f"total_{name}") or count(stat, name) or 0
        for name in ("inactive_file", "active_file", "slab_reclaimable")
    )
    return Use(max(0.0, float(usage) - cache), _limit(limit))


def processes_of(tools: Tools, group: str) -> Use | None:
    """Processes and threads of a group, and how many it may have; ``None`` where they are not counted for it."""
    for folder in (f"{_ROOT}{group}", f"{_ROOT}/pids{group}"):
        used, limit = tools.read(f"{folder}/pids.current"), tools.read(f"{folder}/pids.max")
        if used is not None and limit is not None:
            return Use(float(used), _limit(limit))
    return None


def memory_kills(tools: Tools, group: str) -> int | None:
    """How many processes the kernel has killed for want of memory since the group was made.

    Version 2 counts the groups below this one too, version 1 does not.
    """
    for path in (f"{_ROOT}{group}/memory.events", f"{_ROOT}/memory{group}/memory.oom_control"):
        kills = count(tools.read(path), "oom_kill")
        if kills is not None:
            return kills
    return None


def count(text: str | None, name: str) -> int | None:
    """One value of a file that has a name and a number in each line, or ``None`` where it has none of that name."""
    for line in (text or "").splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == name and words[1].isdigit():
            return int(words[1])
    return None


def _limit(text: str) -> float:
    # Version 1 writes "none" as the largest number of pages: more than any machine has.
    value = float(text) if text.strip().isdigit() else 0.0
    return value if value < 2**60 else 0.0
