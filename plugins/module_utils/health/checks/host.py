# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host itself: disks, memory, load, open files, processes, clock, kills for want of memory, a reboot due."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import ClassVar

from ..check import Check
from ..control_group import NOTHING, Use, count, memory_kills, memory_of, processes_of
from ..journal import KILLED_FOR_MEMORY, entries
from ..model import CouldNotRun, Finding, Outcome, Status, judged, level
from ..options import option
from ..steps import journal, site
from ..tools import Deadline, Tools
from ..units import human_bytes, parse_quantity

DISK_TYPES = frozenset(
    ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "reiserfs", "overlay", "nfs", "nfs4", "ceph")
)
REBOOT_REQUIRED = "/run/reboot-required"
TRANSPORT_SECONDS = 5
"""How much later than it was sent a module may begin on a busy host; a clock that far ahead may well be right."""


@dataclass(frozen=True)
class Disk:
    """A file system's use in percent, as df counts it: of what users can have."""

    path: str
    used_percent: float
    free_bytes: float
    inodes_percent: float


@dataclass(frozen=True)
class TimeDaemon:
    """What keeps the clock: its name (empty for none), whether it is in step, and by how many seconds it is off."""

    name: str
    synchronised: bool = False
    offset_seconds: float = 0.0


@dataclass(frozen=True)
class HostState:
    """What was seen of a host.

    ``load_percent`` is the load average of five minutes over the cores; ``shared`` says that load and open files are
    the whole machine's, because the host is a container on it. ``ahead_seconds`` is the clock less the controller's,
    when the task was sent. ``kills`` counts processes killed for want of memory since the start, ``killed`` names
    units that lost one lately. ``reboot_days`` is for how long a reboot has been due.
    """

    disks: tuple[Disk, ...]
    memory: Use
    load_percent: float
    shared: bool
    files: Use = NOTHING
    processes: Use = NOTHING
    ahead_seconds: float | None = None
    daemon: TimeDaemon | None = None
    kills: int = 0
    killed: tuple[str, ...] = ()
    reboot_days: float | None = None


def parse_meminfo(text: str) -> Use:
    """Read /proc/meminfo. What is available counts as free (Linux 3.14 and newer)."""
    values = {}
    for line in text.splitlines():
        name, _dummy, rest = line.partition(":")
        if rest.split():
            values[name] = float(rest.split()[0]) * 1024
    total = values.get("MemTotal", 0.0)
    return Use(total - values.get("MemAvailable", total), total)


def mounted(text: str) -> list[str]:
    """The mount points in /proc/mounts that hold files on a disk, in the order of mounting."""
    paths = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 3 and words[2] in DISK_TYPES:
            paths.append(words[1].replace("\\040", " ").replace("\\011", "\t"))
    return paths


def parse_file_handles(text: str) -> Use:
    """Read /proc/sys/fs/file-nr: allocated, of these unused, and how many there may be."""
    words = text.split()
    if len(words) != 3 or not all(word.isdigit() for word in words):
        return NOTHING
    allocated, unused, limit = map(float, words)
    return Use(allocated - unused, limit)


def parse_chrony(text: str) -> TimeDaemon:
    """Read ``chronyc -c tracking``: the fifth field is the offset in seconds, the last one says "Normal" in step."""
    fields = text.strip().split(",")
    try:
        return TimeDaemon("chrony", fields[-1] != "Not synchronised", abs(float(fields[4])))
    except (IndexError, ValueError):
        return TimeDaemon("chrony")


def parse_timesync(text: str) -> TimeDaemon:
    """Read ``timedatectl timesync-status``, which has an offset only after the first answer of a time server."""
    for line in text.splitlines():
        name, _dummy, value = line.partition(":")
        offset = parse_quantity(value.strip()) if name.strip() == "Offset" else None
        if offset and offset.kind == "seconds":
            return TimeDaemon("systemd-timesyncd", True, abs(offset.value))
    return TimeDaemon("systemd-timesyncd")


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
    files_warn_percent: float = option("percent", 80, about="Warning at this use of the machine's open files.")
    files_crit_percent: float = option("percent", 95, about="Critical at this use of the machine's open files.")
    processes_warn_percent: float = option("percent", 80, about="Warning at this share of the processes allowed.")
    processes_crit_percent: float = option("percent", 95, about="Critical at this share of the processes allowed.")
    controller_epoch: float | None = option(
        "number", minimum=0, about="The controller's clock when the task was sent, in seconds since 1970."
    )
    clock_warn_seconds: float = option("number", 5, minimum=0, about="Warning when the clock is off by so much.")
    clock_crit_seconds: float = option("number", 30, minimum=0, about="Critical when the clock is off by so much.")
    oom_window_seconds: float = option(
        "number", 600, minimum=0, about="How long a kill for want of memory is a warning; 0 for not at all."
    )
    reboot_warn_days: float = option(
        "number", 14, minimum=0, about="Warning when a reboot has been due for so long; 0 for none."
    )

    def problems(self) -> list[str]:
        problems = [f"paths: {path!r} is not absolute" for path in self.paths if not path.startswith("/")]
        for what, unit in (
            ("disk", "percent"),
            ("inodes", "percent"),
            ("memory", "percent"),
            ("load", "percent"),
            ("files", "percent"),
            ("processes", "percent"),
            ("clock", "seconds"),
        ):
            warn, crit = getattr(self, f"{what}_warn_{unit}"), getattr(self, f"{what}_crit_{unit}")
            if warn > crit > 0:
                problems.append(f"{what}_warn_{unit} ({warn:g}) is above {what}_crit_{unit} ({crit:g})")
        return problems

    def target(self) -> str:
        return "this host"

    def run(self, tools: Tools, deadline: Deadline) -> Outcome:
        return self.judge(self.look(tools, deadline))

    def judge(self, state: HostState) -> Outcome:
        """Hold the host's state against the levels."""
        findings = self._disk_findings(state.disks)
        memory = state.memory
        findings.append(
            level(
                memory.percent,
                self.memory_warn_percent,
                self.memory_crit_percent,
                f"{memory.percent:.0f} % of {human_bytes(memory.limit)} memory is in use",
                "look which unit holds it (`systemd-cgtop -m`), lower its limit or add memory",
            )
        )
        if not state.shared:
            findings.append(
                level(
                    state.load_percent,
                    self.load_warn_percent,
                    self.load_crit_percent,
                    f"the load of five minutes is {state.load_percent:.0f} % of the cores",
                    "look what runs (`systemd-cgtop`), add cores, or move work to other hosts",
                )
            )
        findings += self._table_findings(state)
        findings += self._clock_findings(state)
        findings += self._event_findings(state)
        fullest = max(state.disks, key=lambda disk: disk.used_percent, default=None)
        fine = [f"disk {fullest.used_percent:.0f} % ({fullest.path})"] if fullest else []
        fine.append(f"memory {memory.percent:.0f} % of {human_bytes(memory.limit)}")
        # A container reads its machine's load, of which others may have the most.
        machine = " (machine)" if state.shared else ""
        fine.append(f"load {state.load_percent:.0f} % a core{machine}")
        seen = [*fine, f"open files {state.files.percent:.0f} %{machine}"]
        if state.processes.limit:
            seen.append(f"processes {state.processes.used:.0f} of {state.processes.limit:.0f}")
        if state.ahead_seconds is not None:
            seen.append(f"clock {_apart(state.ahead_seconds)} the controller's")
        if state.daemon and state.daemon.synchronised:
            seen.append(f"{state.daemon.name} in step within {1000 * state.daemon.offset_seconds:.1f} ms")
        if state.kills:
            seen.append(f"{state.kills} processes killed for want of memory since the start")
        if state.reboot_days is not None:
            seen.append(f"reboot due for {state.reboot_days:.0f} days")
        return judged(
            findings,
            seen=", ".join(seen),
            wanted=", ".join(
                f"{what} below {limit:g} {unit}"
                for what, limit, unit in (
                    ("disk", self.disk_warn_percent, "%"),
                    ("inodes", self.inodes_warn_percent, "%"),
                    ("memory", self.memory_warn_percent, "%"),
                    ("load a core", 0 if state.shared else self.load_warn_percent, "%"),
                    ("open files", self.files_warn_percent, "%"),
                    ("processes", self.processes_warn_percent if state.processes.limit else 0, "%"),
                    ("clock off", 0 if state.ahead_seconds is None else self.clock_warn_seconds, "s"),
                )
                if limit
            ),
            fine=", ".join(fine),
            measures={
                "disk_percent": round(fullest.used_percent, 1) if fullest else 0.0,
                "memory_percent": round(memory.percent, 1),
                "load_percent": round(state.load_percent, 1),
                "files_percent": round(state.files.percent, 1),
                "processes_percent": round(state.processes.percent, 1),
                "oom_kills": state.kills,
                **({} if state.ahead_seconds is None else {"clock_seconds": round(state.ahead_seconds, 3)}),
                **({} if state.reboot_days is None else {"reboot_days": round(state.reboot_days, 1)}),
            },
        )

    def _disk_findings(self, disks: Sequence[Disk]) -> list[Finding]:
        findings: list[Finding] = []
        for disk in disks:
            findings.append(
                level(
                    disk.used_percent,
                    self.disk_warn_percent,
                    self.disk_crit_percent,
                    f"{disk.path} is {disk.used_percent:.0f} % full, {human_bytes(disk.free_bytes)} left",
                    f"free space or enlarge {disk.path}: `du -xh {quote(disk.path)} | sort -h | tail`",
                )
            )
            findings.append(
                level(
                    disk.inodes_percent,
                    self.inodes_warn_percent,
                    self.inodes_crit_percent,
                    f"{disk.path} has used {disk.inodes_percent:.0f} % of its inodes",
                    "look for folders with very many small files:"
                    f" `du --inodes -x {quote(disk.path)} | sort -n | tail`",
                )
            )
        return findings

    def _table_findings(self, state: HostState) -> list[Finding]:
        """Tables of the kernel that may run full: open files and processes."""
        files, processes = state.files, state.processes
        return [
            level(
                files.percent,
                self.files_warn_percent,
                self.files_crit_percent,
                f"{files.used:.0f} of {files.limit:.0f} open files are in use on the machine",
                "look which process holds them: `find /proc/[0-9]*/fd | cut -d/ -f3 | sort | uniq -c | sort -n | tail`;"
                " or raise fs.file-max",
            ),
            level(
                processes.percent,
                self.processes_warn_percent,
                self.processes_crit_percent,
                f"{processes.used:.0f} of {processes.limit:.0f} processes and threads are in use",
                "look which unit has them (`systemd-cgtop --order=tasks`), end them or raise the limit",
            ),
        ]

    def _clock_findings(self, state: HostState) -> list[Finding]:
        findings: list[Finding] = []
        step = "look what keeps the clock (`timedatectl`; `chronyc tracking`), and at the controller's"
        if state.ahead_seconds is not None:
            # A host behind is behind by at least that; one ahead may only have got its task late.
            late = state.ahead_seconds - TRANSPORT_SECONDS if state.ahead_seconds > 0 else -state.ahead_seconds
            findings.append(
                level(
                    late,
                    self.clock_warn_seconds,
                    self.clock_crit_seconds,
                    f"the clock is {_apart(state.ahead_seconds)} the controller's",
                    step,
                )
            )
        daemon = state.daemon
        if daemon is None:
            return findings
        if not daemon.name:
            text = "no program keeps the clock"
            findings.append(
                Finding(Status.WARNING, text, f"{site('os_tuning')} brings one; or `apt-get install systemd-timesyncd`")
            )
        elif not daemon.synchronised:
            text = f"{daemon.name} is not in step with any time server"
            findings.append(
                Finding(Status.WARNING, text, "look whether it reaches its servers: `timedatectl timesync-status`")
                if daemon.name != "chrony"
                else Finding(Status.WARNING, text, "look whether it reaches its servers: `chronyc sources`")
            )
        else:
            findings.append(
                level(
                    daemon.offset_seconds,
                    self.clock_warn_seconds,
                    self.clock_crit_seconds,
                    f"the clock is {daemon.offset_seconds:.0f} s off, as {daemon.name} says",
                    step,
                )
            )
        return findings

    def _event_findings(self, state: HostState) -> list[Finding]:
        findings: list[Finding] = []
        if state.killed:
            findings.append(
                Finding(
                    Status.WARNING,
                    f"within {self.oom_window_seconds:.0f} s processes were killed for want of memory:"
                    f" {', '.join(state.killed)}",
                    f"raise the memory limit or find the leak: {journal(state.killed[0], 100)}",
                )
            )
        if state.reboot_days is not None:
            findings.append(
                level(
                    state.reboot_days,
                    self.reboot_warn_days,
                    None,
                    f"a reboot has been due for {state.reboot_days:.0f} days, for updates to take effect",
                    f"reboot it when its work can be done elsewhere; `cat {REBOOT_REQUIRED}.pkgs` says what for",
                )
            )
        return findings

    def look(self, tools: Tools, deadline: Deadline) -> HostState:
        """Read the host's state. Raises CouldNotRun and TimeoutError."""
        meminfo = tools.read("/proc/meminfo")
        loadavg = tools.read("/proc/loadavg")
        if not meminfo or not loadavg:
            raise CouldNotRun("/proc cannot be read", "run this check on a Linux host")
        machine, own = parse_meminfo(meminfo), memory_of(tools, "")
        shared = tools.read("/run/systemd/container") is not None
        kills = memory_kills(tools, "") if shared else count(tools.read("/proc/vmstat"), "oom_kill")
        ahead = None
        if self.controller_epoch is not None:
            # Attempts and pauses since the module began are not the clock's.
            ahead = tools.now() - (tools.clock() - tools.arrived) - self.controller_epoch
        return HostState(
            disks=tuple(self._disks(tools)),
            memory=own if own and 0 < own.limit < machine.limit else machine,
            load_percent=100 * float(loadavg.split()[1]) / (len(os.sched_getaffinity(0)) or 1),
            shared=shared,
            files=parse_file_handles(tools.read("/proc/sys/fs/file-nr") or ""),
            processes=_processes(tools, loadavg, shared),
            ahead_seconds=ahead,
            daemon=None if shared else _time_daemon(tools, deadline),
            kills=kills or 0,
            # Most hosts have had none since they started, and are spared the question.
            killed=self._killed(tools, deadline) if kills and self.oom_window_seconds else (),
            reboot_days=_reboot_days(tools),
        )

    def _killed(self, tools: Tools, deadline: Deadline) -> tuple[str, ...]:
        found = entries(tools, deadline, tools.now() - self.oom_window_seconds, KILLED_FOR_MEMORY)
        return tuple(dict.fromkeys(entry.unit for entry in found if entry.unit))

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


def _apart(seconds: float) -> str:
    return f"{abs(seconds):.0f} s {'ahead of' if seconds >= 0 else 'behind'}"


def _processes(tools: Tools, loadavg: str, shared: bool) -> Use:
    """Processes and threads against the limit of the control group, or of the machine where the host is one."""
    own = processes_of(tools, "")
    if own and own.limit:
        return own
    running = loadavg.split()[3].partition("/")[2]
    limits = [tools.read(f"/proc/sys/kernel/{name}") for name in ("pid_max", "threads-max")]
    numbers = [float(limit) for limit in limits if limit and limit.strip().isdigit()]
    return Use(float(running), min(numbers)) if running.isdigit() and numbers and not shared else NOTHING


def _time_daemon(tools: Tools, deadline: Deadline) -> TimeDaemon | None:
    """What keeps the clock; not for containers, which have their machine's and cannot set it."""
    names = ("chrony", "systemd-timesyncd", "ntpsec", "ntp")
    try:
        states = tools.run(["systemctl", "is-active", *names], deadline.left()).output.split()
    except CouldNotRun:
        states = []
    if len(states) != len(names):
        # Without systemd, nobody is there to ask.
        return None
    running = [name for name, state in zip(names, states) if state == "active"]
    if "chrony" in running:
        return parse_chrony(tools.run(["chronyc", "-c", "tracking"], deadline.left()).output)
    if "systemd-timesyncd" in running:
        return parse_timesync(tools.run(["timedatectl", "timesync-status"], deadline.left()).output)
    return TimeDaemon(running[0], True) if running else TimeDaemon("")


def _reboot_days(tools: Tools) -> float | None:
    try:
        return max(0.0, (tools.now() - Path(REBOOT_REQUIRED).stat().st_mtime) / 86400)
    except OSError:
        return None
