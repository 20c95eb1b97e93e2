"""Facts of a host, from the texts of /proc, /sys and /etc."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.host.info import (
    Filesystem,
    Limits,
    Listener,
    Mount,
    Socket,
    collect,
    cores,
    limits,
    memory_mb,
    mountpoint_of,
    parse_listening,
    parse_memory_total_mb,
    parse_mounts,
    parse_os_release,
    space,
    storage_mounts,
    unit_of,
)
from hypothesis import given
from hypothesis import strategies as st

MEMINFO = "MemTotal:        8131920 kB\nMemFree:          123456 kB\n"
OS_RELEASE = '# a comment\nID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\nPRETTY_NAME="Debian GNU/Linux 13"\n'
TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   104        0 4242 1 0 100 0 0 10 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4243 1 0 100 0 0 10 0
   2: 0100007F:1538 0100007F:C350 01 00000000:00000000 00:00000000 00000000   104        0 4244 1 0 100 0 0 10 0
"""
HEAD6 = "sl local_address remote_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode\n"
ROW6 = "0: {0}:{1} 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 {2} 1 0 100 0 0 10 0\n"
TCP6 = HEAD6 + ROW6.format("0" * 32, "0016", 4245) + ROW6.format("0" * 24 + "01000000", "0277", 4246)
MOUNTINFO = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /proc rw shared:2 - proc proc rw
24 22 0:22 / /run rw shared:3 - tmpfs tmpfs rw
25 22 8:17 / /var/lib/my\040data rw - xfs /dev/sdb1 rw
26 22 7:1 / /snap/core/1 ro - squashfs /dev/loop1 ro
27 22 0:40 / /mnt/nas rw - nfs4 nas:/export rw
28 22 8:1 /etc/hosts /etc/hosts rw - ext4 /dev/sda1 rw
"""
FILESYSTEMS = "nodev\tproc\nnodev\ttmpfs\nnodev\tnfs4\nnodev\toverlay\n\text4\n\txfs\n\tsquashfs\n"
LIMITS = """Limit                     Soft Limit           Hard Limit           Units
Max processes             96365                unlimited            processes
Max open files            1024                 20000                files
"""
ROOM = {"total_mb": 100, "free_mb": 40, "free_percent": 44.4}


@dataclass
class FakeSystem:
    """A host made of texts."""

    files: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    directories: frozenset[str] = frozenset({"/"})
    devices: dict[str, tuple[int, int]] = field(default_factory=dict)
    processors: int = 4

    def read(self, path: str) -> str | None:
        return self.files.get(posixpath.normpath(path))

    def listdir(self, path: str) -> list[str]:
        prefix = path.rstrip("/") + "/"
        paths = [*self.files, *self.links]
        return list({item[len(prefix) :].split("/")[0] for item in paths if item.startswith(prefix)})

    def readlink(self, path: str) -> str | None:
        return self.links.get(path)

    def is_dir(self, path: str) -> bool:
        return path in self.directories

    def blocks(self, path: str) -> tuple[int, int, int, int] | None:
        return (4096, 25600, 12800, 10240) if path in self.directories else None

    def device(self, path: str) -> tuple[int, int] | None:
        return self.devices.get(path)

    def cpus(self) -> int:
        return self.processors

    def kernel(self) -> str:
        return "6.12.43"

    def python(self) -> str:
        return "3.13.5"

    def epoch(self) -> float:
        return 1790000000.5


def host(**more: Any) -> FakeSystem:
    return FakeSystem(
        files={
            "/proc/meminfo": MEMINFO,
            "/etc/os-release": OS_RELEASE,
            "/proc/self/mountinfo": MOUNTINFO,
            "/proc/filesystems": FILESYSTEMS,
            "/proc/net/tcp": TCP,
            "/proc/net/tcp6": TCP6,
            "/proc/77/comm": "postgres\n",
            "/proc/77/cgroup": "0::/system.slice/system-postgresql.slice/postgresql@17-main.service\n",
            "/proc/12/comm": "sshd\n",
            "/proc/12/cgroup": "4:memory:/system.slice/ssh.service\n1:name=systemd:/system.slice/ssh.service\n0::/\n",
            "/sys/dev/block/8:1/queue/rotational": "1\n",
            "/proc/1/status": "Name:\tsystemd\nCapEff:\t000001ffffffffff\n",
            "/proc/1/limits": LIMITS,
            "/proc/sys/fs/nr_open": "1048576\n",
            **more.pop("files", {}),
        },
        links={
            "/proc/77/fd/5": "socket:[4242]",
            "/proc/77/fd/6": "socket:[4244]",
            "/proc/12/fd/3": "socket:[4243]",
            "/proc/12/fd/4": "socket:[4245]",
            "/proc/12/fd/0": "/dev/null",
            **more.pop("links", {}),
        },
        directories=frozenset({"/", "/var/lib/my data", "/mnt/nas"}),
        **more,
    )


def test_a_whole_host() -> None:
    facts = collect(host()).as_dict()
    assert facts == {
        "cores": 4,
        "memory_mb": 7941,
        "distribution": "debian",
        "version": "13",
        "codename": "trixie",
        "kernel": "6.12.43",
        "container": False,
        "python": "3.13.5",
        "epoch": 1790000000.5,
        "filesystems": {"/": ROOM, "/var/lib/my data": ROOM, "/mnt/nas": ROOM},
        "rotational": True,
        "limits": {"nofile": 1048576, "nproc": None},
        "listeners": [
            {"address": "0.0.0.0", "port": 22, "process": "sshd", "unit": "ssh.service"},
            {"address": "::", "port": 22, "process": "sshd", "unit": "ssh.service"},
            {"address": "::1", "port": 631, "process": None, "unit": None},
            {"address": "127.0.0.1", "port": 5432, "process": "postgres", "unit": "postgresql@17-main.service"},
        ],
    }


def test_an_unreadable_proc_is_an_error() -> None:
    with pytest.raises(ValueError, match="MemTotal"):
        collect(FakeSystem())


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"/sys/fs/cgroup/memory.max": "536870912\n"}, 512),
        ({"/sys/fs/cgroup/memory.max": "max\n"}, 7941),
        ({"/sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824\n"}, 1024),
        ({"/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 7941),
    ],
)
def test_memory_respects_the_cgroup(files: dict[str, str], expected: int) -> None:
    assert collect(host(files=files)).memory_mb == expected


@pytest.mark.parametrize(
    ("v2", "quota", "period", "expected"),
    [
        (None, None, None, 8),
        ("max 100000\n", None, None, 8),
        ("150000 100000\n", None, None, 2),
        ("50000 100000\n", None, None, 1),
        ("9900000 100000\n", None, None, 8),
        (None, "-1\n", "100000\n", 8),
        (None, "300000\n", "100000\n", 3),
    ],
)
def test_cores_respect_the_quota(v2: str | None, quota: str | None, period: str | None, expected: int) -> None:
    assert cores(8, v2, quota, period) == expected


@pytest.mark.parametrize(
    "more",
    [
        {"files": {"/run/systemd/container": "docker\n"}},
        {"files": {"/.dockerenv": ""}},
        {"files": {"/proc/1/environ": "PATH=/bin\0container=lxc\0"}},
    ],
)
def test_containers_are_recognised(more: dict[str, Any]) -> None:
    assert collect(host(**more)).container


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, True),
        ({"files": {"/sys/dev/block/8:1/queue/rotational": "0\n"}}, False),
        ({"links": {"/sys/dev/block/8:1": "../../devices/pci0000:00/0000:00:05.0/virtio2/block/vda"}}, None),
        ({"files": {"/proc/self/mountinfo": "22 1 0:50 / / rw - overlay overlay rw\n"}}, None),
    ],
)
def test_the_kind_of_disk_is_told_only_where_the_kernel_knows(more: dict[str, Any], expected: bool | None) -> None:
    assert collect(host(**more)).rotational is expected


def test_a_partition_and_a_made_up_device_number_lead_to_their_disk() -> None:
    system = host(
        files={
            "/proc/self/mountinfo": "22 1 0:31 / / rw - btrfs /dev/nvme0n1p2 rw\n",
            "/sys/dev/block/queue/rotational": "0\n",
        },
        devices={"/dev/nvme0n1p2": (259, 2)},
    )
    assert collect(system).rotational is False


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [("000001ffffffffff", Limits(1048576, None)), ("00000004e8ac77ff", Limits(20000, None))],
)
def test_a_host_without_the_capability_cannot_exceed_its_own_limits(capabilities: str, expected: Limits) -> None:
    assert limits(f"CapEff:\t{capabilities}\n", LIMITS, "1048576\n") == expected


def test_os_release_is_unquoted() -> None:
    assert parse_os_release(OS_RELEASE)["VERSION_ID"] == "13"


def test_meminfo_without_a_total_is_refused() -> None:
    with pytest.raises(ValueError, match="MemTotal"):
        parse_memory_total_mb("MemFree: 1 kB\n")


def test_storage_is_told_from_the_rest() -> None:
    points = [mount.mountpoint for mount in storage_mounts(parse_mounts(MOUNTINFO), FILESYSTEMS)]
    assert points == ["/", "/var/lib/my data", "/mnt/nas", "/etc/hosts"]


def test_a_truncated_mount_line_is_skipped() -> None:
    assert parse_mounts("22 1 8:1\n\n25 22 8:17 / /srv rw - xfs /dev/sdb1 rw\n") == (
        Mount("/srv", "xfs", "/dev/sdb1", 8, 17),
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/var/lib/postgresql", "/var/lib"), ("/var/library", "/var"), ("/srv", "/"), ("/var/lib", "/var/lib")],
)
def test_the_longest_mount_point_holds_a_path(path: str, expected: str) -> None:
    assert mountpoint_of(path, ["/", "/var", "/var/lib"]) == expected


def test_space_counts_as_df_does() -> None:
    assert space(4096, 25600, 12800, 10240) == Filesystem(total_mb=100, free_mb=40, free_percent=44.4)
    assert space(4096, 0, 0, 0) == Filesystem(0, 0, 0.0)


def test_only_listening_sockets_count() -> None:
    assert parse_listening(TCP, "") == (Socket("127.0.0.1", 5432, 4242), Socket("0.0.0.0", 22, 4243))


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/nginx.service\n", "nginx.service"),
        ("0::/system.slice/system-slipway\\x2dshop.slice/slipway-shop@3000.service\n", "slipway-shop@3000.service"),
        ("1:name=systemd:/user.slice/user-0.slice/session-3.scope\n", "session-3.scope"),
        ("0::/init.scope\n", "init.scope"),
        ("0::/system.slice/docker.service/payload/deeper\n", "docker.service"),
        ("0::/\n", None),
        ("", None),
    ],
)
def test_units_come_from_the_cgroup(cgroup: str, unit: str | None) -> None:
    assert unit_of(cgroup) == unit


def test_a_port_shared_by_workers_is_told_once() -> None:
    found = [item for item in collect(host(links={"/proc/78/fd/5": "socket:[4242]"})).listeners if item.port == 5432]
    assert found == [Listener("127.0.0.1", 5432, "postgres", "postgresql@17-main.service")]


@given(st.integers(1, 10**6), st.lists(st.none() | st.just("max") | st.integers(2**20, 2**50).map(str)))
def test_memory_is_never_more_than_the_total(total: int, limits: list[str | None]) -> None:
    assert 0 < memory_mb(total, limits) <= total
