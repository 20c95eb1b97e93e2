# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host itself: disks and inodes, memory within its limit, load per core."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ..check import Check
from ..model import CouldNotRun, Finding, Outcome, judged, level
from ..options import option
from ..tools import Deadline, Tools
from ..units import human_bytes

DISK_TYPES = frozenset(
    ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "reiserfs", "overlay", "nfs", "nfs4", "ceph")
)


@dataclass(frozen=True)
class Disk:
    """A file system's use in percent, as df counts it: of what users can have."""

    path: str
    used_percent: float
    free_bytes: float
    inodes_percent: float


@dataclass(frozen=True)
class Memory:
    """Bytes that cannot be given back at once, and the limit that they count against."""

    used: float
    limit: float

    @property
    def percent(self) -> float:
        return 100 * self.used / self.limit if self.limit else 0.0


@dataclass(frozen=True)
class HostState:
    """``load_percent`` is the load average of five minutes over the cores;
    ``shared`` says that it is the whole machine's, because the host is a container on it."""

    disks: tuple[Disk, ...]
    memory: Memory
    load_percent: float
    shared: bool


def parse_meminfo(text: str) -> Memory:
    """Read /proc/meminfo. What is available counts as free (Linux 3.14 and newer)."""
    values = {}
    for line in text.splitlines():
        name, _dummy, rest = line.partition(":")
        if rest.split():
            values[name] = float(rest.split()[0]) * 1024
    total = values.get("MemTotal", 0.0)
    return Memory(total - values.get("MemAvailable", total), total)


def limited_memory(usage: str | None, limit: str | None, stat: str | None, machine: Memory) -> Memory:
    """The memory of a host whose control group has a limit, or the machine's where it has none.

    File cache and reclaimable slabs are given back under pressure, so they are not counted as used.
    """
    if usage is None or limit is None or not limit.strip().isdigit() or float(limit) >= machine.limit:
        return machine
    pairs = dict(line.split(None, 1) for line in (stat or "").splitlines() if " " in line)
    names = ("inactive_file", "active_file", "slab_reclaimable")
    # In version 1 the totals include the groups below this one.
    cache = sum(float(pairs.get(f"total_{name}", pairs.get(name, 0))) for name in names)
    return Memory(max(0.0, float(usage) - cache), float(limit))


def mounted(text: str) -> list[str]:
    """The mount points in /proc/mounts that hold files on a disk, in the order of mounting."""
    paths = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 3 and words[2] in DISK_TYPES:
            paths.append(words[1].replace("\\040", " ").replace("\\011", "\t"))
    return paths


@dataclass(frozen=True)
class HostCheck(Check):
    """Looks at the host that it runs on."""

    TYPE: ClassVar[str] = "host"
    WEIGHT: ClassVar[float] = 1

    paths: Sequence[str] = option("strings", (), about="File systems to look at, by path; all on disks by default.")
    disk_warn_percent: float = option("percent", 80, about="Warning at this use of a disk.")
    disk_crit_percent: float = option("percent", 90, about="Critical at this use of a disk.")
    inodes_warn_percent: float = option("percent", 80, about="Warning at this use of a disk's inodes.")
    inodes_crit_percent: float = option("percent", 90, about="Critical at this use of a disk's inodes.")
    memory_warn_percent: float = option("percent", 80, about="Warning at this use of the host's memory or limit.")
    memory_crit_percent: float = option("percent", 95, about="Critical at this use of the host's memory or limit.")
    load_warn_percent: float = option("percent", 80, about="Warning at this load of five minutes for each core.")
    load_crit_percent: float = option("percent", 0, about="Critical at this load for each core; 0 for none.")

    def problems(self) -> list[str]:
        problems = [f"paths: {path!r} is not absolute" for path in self.paths if not path.startswith("/")]
        for what in ("disk", "inodes", "memory", "load"):
            warn, crit = getattr(self, f"{what}_warn_percent"), getattr(self, f"{what}_crit_percent")
            if warn > crit > 0:
                problems.append(f"{what}_warn_percent ({warn:g}) is above {what}_crit_percent ({crit:g})")
        return problems

    def target(self) -> str:
        return "this host"

    def run(self, tools: Tools, deadline: Deadline) -> Outcome:
        return self.judge(self.look(tools))

    def judge(self, state: HostState) -> Outcome:
        """Hold the host's state against the levels."""
        findings: list[Finding] = []
        for disk in state.disks:
            findings.append(
                level(
                    disk.used_percent,
                    self.disk_warn_percent,
                    self.disk_crit_percent,
                    f"{disk.path} is {disk.used_percent:.0f} % full, {human_bytes(disk.free_bytes)} left",
                    f"free space or enlarge {disk.path} (du -xh {disk.path} | sort -h | tail)",
                )
            )
            findings.append(
                level(
                    disk.inodes_percent,
                    self.inodes_warn_percent,
                    self.inodes_crit_percent,
                    f"{disk.path} has used {disk.inodes_percent:.0f} % of its inodes",
                    f"look for folders with very many small files on {disk.path} (du --inodes -x {disk.path})",
                )
            )
        memory = state.memory
        findings.append(
            level(
                memory.percent,
                self.memory_warn_percent,
                self.memory_crit_percent,
                f"{memory.percent:.0f} % of {human_bytes(memory.limit)} memory is in use",
                "look which unit holds it (systemd-cgtop -m), lower its limit or add memory",
            )
        )
        if not state.shared:
            findings.append(
                level(
                    state.load_percent,
                    self.load_warn_percent,
                    self.load_crit_percent,
                    f"the load of five minutes is {state.load_percent:.0f} % of the cores",
                    "look what runs (systemd-cgtop), add cores, or move work to other hosts",
                )
            )
        fullest = max(state.disks, key=lambda disk: disk.used_percent, default=None)
        seen = [f"disk {fullest.used_percent:.0f} % ({fullest.path})"] if fullest else []
        seen.append(f"memory {memory.percent:.0f} % of {human_bytes(memory.limit)}")
        # A container reads its machine's load, of which others may have the most.
        seen.append(f"load {state.load_percent:.0f} % a core" + (" (machine)" if state.shared else ""))
        return judged(
            findings,
            seen=", ".join(seen),
            wanted=", ".join(
                f"{what} below {limit:g} %"
                for what, limit in (
                    ("disk", self.disk_warn_percent),
                    ("inodes", self.inodes_warn_percent),
                    ("memory", self.memory_warn_percent),
                    ("load a core", 0 if state.shared else self.load_warn_percent),
                )
                if limit
            ),
            fine=", ".join(seen),
            measures={
                "disk_percent": round(fullest.used_percent, 1) if fullest else 0.0,
                "memory_percent": round(memory.percent, 1),
                "load_percent": round(state.load_percent, 1),
            },
        )

    def look(self, tools: Tools) -> HostState:
        """Read the host's state. Raises CouldNotRun."""
        meminfo = tools.read("/proc/meminfo")
        loadavg = tools.read("/proc/loadavg")
        if not meminfo or not loadavg:
            raise CouldNotRun("/proc cannot be read", "run this check on a Linux host")
        machine = parse_meminfo(meminfo)
        memory = machine
        for folder, usage, limit in (
            ("/sys/fs/cgroup", "memory.current", "memory.max"),
            ("/sys/fs/cgroup/memory", "memory.usage_in_bytes", "memory.limit_in_bytes"),
        ):
            if memory is machine:
                memory = limited_memory(
                    tools.read(f"{folder}/{usage}"),
                    tools.read(f"{folder}/{limit}"),
                    tools.read(f"{folder}/memory.stat"),
                    machine,
                )
        cores = len(os.sched_getaffinity(0)) or 1
        shared = tools.read("/run/systemd/container") is not None
        return HostState(tuple(self._disks(tools)), memory, 100 * float(loadavg.split()[1]) / cores, shared)

    def _disks(self, tools: Tools) -> list[Disk]:
        paths: Sequence[str] = self.paths or [
            path for path in mounted(tools.read("/proc/mounts") or "") if Path(path).is_dir()
        ]
        disks, devices = [], set()
        for path in paths:
            try:
                device, stat = Path(path).stat().st_dev, os.statvfs(path)
            except OSError as error:
                if self.paths:
                    raise CouldNotRun(f"{path}: {error.strerror}", "correct paths") from None
                continue
            # One disk that is mounted at several places is one disk.
            if device in devices or not stat.f_blocks:
                continue
            devices.add(device)
            used = stat.f_blocks - stat.f_bfree
            files = stat.f_files
            disks.append(
                Disk(
                    path,
                    100 * used / (used + stat.f_bavail) if used + stat.f_bavail else 100.0,
                    float(stat.f_bavail * stat.f_frsize),
                    # Some file systems have no fixed number of inodes.
                    100 * (files - stat.f_ffree) / files if files else 0.0,
                )
            )
        return disks
