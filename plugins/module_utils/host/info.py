# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host has: cores, memory, file systems, release, and who listens on which TCP port.

Everything is parsed from the text of files under /proc, /sys and /etc, which :func:`collect` reads through a
:class:`System` that the caller passes in.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Protocol

_TCP_LISTEN = "0A"
_UNIT_SUFFIXES = (".service", ".scope", ".socket")
# Kernel file systems without a block device behind them that nevertheless hold an operator's data.
_STORAGE_WITHOUT_DEVICE = frozenset({"overlay", "zfs", "nfs", "nfs4", "virtiofs", "9p"})
# Images that are full by construction, whatever their size.
_ALWAYS_FULL = frozenset({"squashfs", "iso9660", "erofs"})
_DATA_PATH = "/var/lib"
_CAP_SYS_RESOURCE = 1 << 24


class System(Protocol):
    """The reads that :func:`collect` needs; every one of them is harmless."""

    def read(self, path: str) -> str | None:
        """Text of a file; None when it is missing or unreadable."""

    def listdir(self, path: str) -> list[str]:
        """Names in a folder; empty when it is missing or unreadable."""

    def readlink(self, path: str) -> str | None:
        """Target of a symbolic link; None when there is none to read."""

    def is_dir(self, path: str) -> bool:
        """Whether the path is a folder."""

    def blocks(self, path: str) -> tuple[int, int, int, int] | None:
        """statvfs(3) of a path as (fragment size in bytes, blocks, free blocks, blocks available to users)."""

    def device(self, path: str) -> tuple[int, int] | None:
        """(major, minor) of a block device node; None when it is not one."""

    def cpus(self) -> int:
        """Processors that this process may run on."""

    def kernel(self) -> str:
        """Release of the running kernel, as ``uname -r`` prints it."""

    def python(self) -> str:
        """Version of the Python that runs the module."""

    def epoch(self) -> float:
        """Wall clock, in seconds since 1970 (UTC)."""


@dataclass(frozen=True)
class Filesystem:
    """Space of a file system in MiB; ``free_percent`` is 0 to 100 as ``df`` counts: available / (used + available)."""

    total_mb: int
    free_mb: int
    free_percent: float


@dataclass(frozen=True)
class Mount:
    """A line of /proc/self/mountinfo."""

    mountpoint: str
    fstype: str
    source: str
    major: int
    minor: int


@dataclass(frozen=True)
class Socket:
    """A TCP socket that listens."""

    address: str
    port: int
    inode: int


@dataclass(frozen=True)
class Listener:
    """A TCP port somebody listens on; ``process`` and ``unit`` are None where the kernel does not tell us."""

    address: str
    port: int
    process: str | None
    unit: str | None


@dataclass(frozen=True)
class Limits:
    """The highest resource limits that the host can give a process; None where there is no bound."""

    nofile: int | None
    nproc: int | None


@dataclass(frozen=True)
class HostInfo:
    """Facts of a host; memory in MiB, ``epoch`` in seconds since 1970 (UTC)."""

    cores: int
    memory_mb: int
    distribution: str
    version: str
    codename: str
    kernel: str
    container: bool
    python: str
    epoch: float
    filesystems: dict[str, Filesystem]
    rotational: bool | None
    limits: Limits
    listeners: tuple[Listener, ...]

    def as_dict(self) -> dict[str, Any]:
        """The facts as plain data."""
        return {**asdict(self), "listeners": [asdict(listener) for listener in self.listeners]}


def parse_os_release(text: str) -> dict[str, str]:
    """Keys and unquoted values of an os-release(5) file."""
    pairs = {}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith("#"):
            pairs[key] = value.strip("\"'")
    return pairs


def parse_memory_total_mb(meminfo: str) -> int:
    """MemTotal of /proc/meminfo in MiB. Raises ValueError when the text has none."""
    found = re.search(r"^MemTotal:\s+(\d+) kB", meminfo, re.MULTILINE)
    if found is None:
        raise ValueError("/proc/meminfo has no line MemTotal")
    return int(found.group(1)) // 1024


def memory_mb(total_mb: int, limits: Iterable[str | None]) -> int:
    """Memory that may really be used, in MiB: the total or the smallest cgroup limit below it.

    ``limits`` are texts of cgroup v2 ``memory.max`` or v1 ``memory.limit_in_bytes``: bytes, or ``max``.
    """
    given = [int(limit) // 1024**2 for limit in limits if limit is not None and limit.strip().isdigit()]
    return min([total_mb, *given])


def cores(cpus: int, v2_max: str | None, v1_quota: str | None, v1_period: str | None) -> int:
    """Processors that may really be used: at most ``cpus``, at least 1, a cgroup's quota rounded up.

    ``v2_max`` is the text of ``cpu.max`` ("200000 100000" or "max 100000"), ``v1_*`` those of ``cpu.cfs_quota_us``
    (-1 for none) and ``cpu.cfs_period_us``.
    """
    quota, period = (v2_max.split() if v2_max else [(v1_quota or "").strip(), (v1_period or "").strip()])[:2]
    if not (quota.isdigit() and period.isdigit() and int(period)):
        return max(cpus, 1)
    return max(1, min(cpus, math.ceil(int(quota) / int(period))))


def parse_mounts(mountinfo: str) -> tuple[Mount, ...]:
    """Mounts of a /proc/self/mountinfo text, in its order (a later one hides an earlier one)."""
    mounts = []
    for line in mountinfo.splitlines():
        left, separator, right = line.partition(" - ")
        before, after = left.split(), right.split()
        if not separator or len(before) < 5 or len(after) < 2:
            continue
        major, _colon, minor = before[2].partition(":")
        mounts.append(Mount(_unescape(before[4]), after[0], _unescape(after[1]), int(major), int(minor)))
    return tuple(mounts)


def _unescape(field: str) -> str:
    """mountinfo writes blanks, tabs, newlines and backslashes as octal escapes."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), field)


def storage_mounts(mounts: Iterable[Mount], filesystems: str) -> tuple[Mount, ...]:
    """The mounts that hold data: on a block device or a network, neither pseudo file systems nor read-only images.

    ``filesystems`` is the text of /proc/filesystems, which marks those without a device ``nodev``. The root is always
    among them.
    """
    nodev = {line.split()[1] for line in filesystems.splitlines() if line.startswith("nodev") and len(line.split()) > 1}
    return tuple(
        mount
        for mount in mounts
        if mount.mountpoint == "/"
        or mount.fstype in _STORAGE_WITHOUT_DEVICE
        or (mount.fstype not in nodev and mount.fstype not in _ALWAYS_FULL)
    )


def mountpoint_of(path: str, mountpoints: Iterable[str]) -> str:
    """The longest of ``mountpoints`` that holds the absolute ``path``; "/" when none does."""
    holding = [
        point for point in mountpoints if point == "/" or path == point or path.startswith(point.rstrip("/") + "/")
    ]
    return max(holding, key=len, default="/")


def space(fragment: int, blocks: int, free: int, available: int) -> Filesystem:
    """Space as ``df`` counts it: what is reserved for root counts neither as used nor as available."""
    used = blocks - free
    total = used + available
    return Filesystem(
        total_mb=blocks * fragment // 1024**2,
        free_mb=available * fragment // 1024**2,
        free_percent=round(100 * available / total, 1) if total else 0.0,
    )


def limits(status: str, own_limits: str, nr_open: str | None) -> Limits:
    """Limits that the first process of a host can hand out: any, where it may exceed its own, but for the kernel's.

    The texts are those of /proc/1/status, /proc/1/limits and /proc/sys/fs/nr_open.
    """
    capabilities = re.search(r"^CapEff:\s*([0-9a-f]+)", status, re.MULTILINE)
    if capabilities is None or int(capabilities.group(1), 16) & _CAP_SYS_RESOURCE:
        return Limits(nofile=int(nr_open) if nr_open else None, nproc=None)
    return Limits(nofile=_hard_limit(own_limits, "Max open files"), nproc=_hard_limit(own_limits, "Max processes"))


def _hard_limit(text: str, name: str) -> int | None:
    found = re.search(rf"^{name}\s+\S+\s+(\d+)", text, re.MULTILINE)
    return int(found.group(1)) if found else None


def parse_listening(tcp: str, tcp6: str) -> tuple[Socket, ...]:
    """Listening sockets of /proc/net/tcp and /proc/net/tcp6, whose addresses are little-endian 32-bit words."""
    sockets = []
    for text in (tcp, tcp6):
        for line in text.splitlines()[1:]:
            fields = line.split()
            if len(fields) < 10 or fields[3] != _TCP_LISTEN:
                continue
            address, _colon, port = fields[1].partition(":")
            sockets.append(Socket(_address(address), int(port, 16), int(fields[9])))
    return tuple(sockets)


def _address(raw: str) -> str:
    words = [bytes.fromhex(raw[start : start + 8])[::-1] for start in range(0, len(raw), 8)]
    packed = b"".join(words)
    return str(IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed))


def unit_of(cgroup: str) -> str | None:
    """systemd unit of a process, from its /proc/PID/cgroup (v1: the line ``name=systemd``, v2: ``0::``)."""
    paths = {}
    for line in cgroup.splitlines():
        _number, controllers, path = ([*line.split(":", 2), "", ""])[:3]
        paths[controllers] = path
    path = paths.get("name=systemd") or paths.get("") or ""
    return next((part for part in reversed(path.split("/")) if part.endswith(_UNIT_SUFFIXES)), None)


def _owners(system: System, inodes: set[int]) -> dict[int, str]:
    """Which process (its id) holds each socket. Sockets of processes that may not be looked into are left out."""
    found: dict[int, str] = {}
    for pid in sorted((name for name in system.listdir("/proc") if name.isdigit()), key=int):
        if len(found) == len(inodes):
            break
        for descriptor in system.listdir(f"/proc/{pid}/fd"):
            match = re.fullmatch(r"socket:\[(\d+)\]", system.readlink(f"/proc/{pid}/fd/{descriptor}") or "")
            if match and int(match.group(1)) in inodes:
                found.setdefault(int(match.group(1)), pid)
    return found


def _listeners(system: System) -> tuple[Listener, ...]:
    sockets = parse_listening(system.read("/proc/net/tcp") or "", system.read("/proc/net/tcp6") or "")
    owners = _owners(system, {socket.inode for socket in sockets})
    listeners = set()
    for socket in sockets:
        pid = owners.get(socket.inode)
        process = (system.read(f"/proc/{pid}/comm") or "").strip() or None if pid else None
        unit = unit_of(system.read(f"/proc/{pid}/cgroup") or "") if pid else None
        listeners.add(Listener(socket.address, socket.port, process, unit))
    return tuple(sorted(listeners, key=lambda listener: (listener.port, listener.address, listener.unit or "")))


def _rotational(system: System, mounts: Iterable[Mount]) -> bool | None:
    """Whether the disk under /var/lib, where the data lies, turns; None when the kernel cannot know."""
    by_point = {mount.mountpoint: mount for mount in mounts}
    mount = by_point.get(mountpoint_of(_DATA_PATH, by_point))
    if mount is None:
        return None
    # btrfs and the like show a made-up device number: ask the node they are mounted from instead.
    major, minor = (mount.major, mount.minor) if mount.major else (system.device(mount.source) or (0, 0))
    # Disks of virtual machines claim to turn whatever is behind them.
    if re.search(r"/(virtio\d|vbd-)", system.readlink(f"/sys/dev/block/{major}:{minor}") or ""):
        return None
    for folder in ("queue", "../queue"):
        text = system.read(f"/sys/dev/block/{major}:{minor}/{folder}/rotational")
        if text is not None:
            return text.strip() == "1"
    return None


def _is_container(system: System) -> bool:
    if system.read("/run/systemd/container") or system.read("/.dockerenv") is not None:
        return True
    return "container=" in (system.read("/proc/1/environ") or "")


def collect(system: System) -> HostInfo:
    """Read every fact of the host. Raises ValueError when /proc is not readable at all."""
    release = parse_os_release(system.read("/etc/os-release") or system.read("/usr/lib/os-release") or "")
    mounts = parse_mounts(system.read("/proc/self/mountinfo") or "")
    filesystems = {}
    for mount in storage_mounts(mounts, system.read("/proc/filesystems") or ""):
        # Containers have single files mounted over theirs; they tell nothing about space.
        blocks = system.blocks(mount.mountpoint) if system.is_dir(mount.mountpoint) else None
        if blocks is not None:
            filesystems[mount.mountpoint] = space(*blocks)
    return HostInfo(
        cores=cores(
            system.cpus(),
            system.read("/sys/fs/cgroup/cpu.max"),
            system.read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
            system.read("/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
        ),
        memory_mb=memory_mb(
            parse_memory_total_mb(system.read("/proc/meminfo") or ""),
            [
                system.read("/sys/fs/cgroup/memory.max"),
                system.read("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
            ],
        ),
        distribution=release.get("ID", "unknown"),
        version=release.get("VERSION_ID", ""),
        codename=release.get("VERSION_CODENAME", ""),
        kernel=system.kernel(),
        container=_is_container(system),
        python=system.python(),
        epoch=system.epoch(),
        filesystems=filesystems,
        rotational=_rotational(system, mounts),
        limits=limits(
            system.read("/proc/1/status") or "",
            system.read("/proc/1/limits") or "",
            system.read("/proc/sys/fs/nr_open"),
        ),
        listeners=_listeners(system),
    )
