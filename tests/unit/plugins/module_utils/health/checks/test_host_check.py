# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host's own figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.checks.host import (
    Disk,
    HostState,
    Memory,
    limited_memory,
    mounted,
    parse_meminfo,
)
from ansible_collections.slipway.stack.plugins.module_utils.health.model import CouldNotRun, Status
from ansible_collections.slipway.stack.plugins.module_utils.health.tools import Tools

OK, WARNING, CRITICAL = Status.OK, Status.WARNING, Status.CRITICAL
GOOD = HostState((Disk("/", 40, 1e10, 5),), Memory(4e8, 1e9), 30, False)


@pytest.mark.parametrize(
    ("options", "change", "status", "words"),
    [
        ({}, {}, OK, "disk 40 % (/), memory 40 % of 1.0 GB, load 30 % a core"),
        ({}, {"disks": (Disk("/", 80, 1e9, 5),)}, WARNING, "/ is 80 % full, 1.0 GB left"),
        ({}, {"disks": (Disk("/", 10, 1e9, 5), Disk("/data", 91, 1e9, 5))}, CRITICAL, "/data is 91 % full"),
        ({}, {"disks": (Disk("/", 10, 1e9, 85),)}, WARNING, "85 % of its inodes"),
        ({}, {"memory": Memory(8e8, 1e9)}, WARNING, "80 % of 1.0 GB memory"),
        ({}, {"memory": Memory(9.5e8, 1e9)}, CRITICAL, "95 % of 1.0 GB memory"),
        ({}, {"load_percent": 80}, WARNING, "load of five minutes is 80 %"),
        ({}, {"load_percent": 500}, WARNING, "load"),
        ({"load_crit_percent": 200}, {"load_percent": 500}, CRITICAL, "load"),
        ({}, {"load_percent": 500, "shared": True}, OK, "(machine)"),
        ({"memory_warn_percent": 30}, {}, WARNING, "memory"),
        ({}, {"disks": ()}, OK, "memory"),
    ],
)
def test_judges(
    make_check: Callable[..., Any], options: dict[str, Any], change: dict[str, Any], status: Status, words: str
) -> None:
    outcome = make_check(type="host", **options).judge(dataclasses.replace(GOOD, **change))
    assert outcome.status is status
    assert words in outcome.message
    assert bool(outcome.next_step) == (status is not OK)


MACHINE = Memory(2e9, 16e9)
V2 = "anon 300\nfile 500\ninactive_file 200000000\nactive_file 100000000\nslab_reclaimable 50000000\n"
V1 = "cache 1\ninactive_file 1\nactive_file 1\ntotal_inactive_file 300000000\ntotal_active_file 50000000\n"


@pytest.mark.parametrize(
    ("usage", "limit", "stat", "memory"),
    [
        ("600000000", "1000000000\n", V2, Memory(250e6, 1e9)),
        ("600000000", "1000000000\n", V1, Memory(250e6, 1e9)),
        ("100000000", "1000000000\n", V2, Memory(0.0, 1e9)),
        ("600000000", "max\n", V2, MACHINE),
        ("600000000", "9223372036854771712\n", V1, MACHINE),
        (None, "1000000000", V2, MACHINE),
        ("600000000", None, V2, MACHINE),
        ("600000000", "1000000000", None, Memory(600e6, 1e9)),
    ],
)
def test_the_limit_of_the_control_group_counts(
    usage: str | None, limit: str | None, stat: str | None, memory: Memory
) -> None:
    assert limited_memory(usage, limit, stat, MACHINE) == memory


def test_reads_meminfo() -> None:
    assert parse_meminfo("MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 750 kB\n") == Memory(256000.0, 1024000.0)


def test_reads_mounts() -> None:
    text = (
        "overlay / overlay rw 0 0\nproc /proc proc rw 0 0\ntmpfs /run tmpfs rw 0 0\n"
        "/dev/sdb1 /var/lib/my\\040data ext4 rw 0 0\n/dev/loop0 /snap/x squashfs ro 0 0\n"
    )
    assert mounted(text) == ["/", "/var/lib/my data"]


def test_looks_at_this_host(make_check: Callable[..., Any], look: Callable[..., Any], tmp_path: Path) -> None:
    outcome = look(make_check(type="host", paths=[str(tmp_path), str(tmp_path)], load_warn_percent=0))
    assert 0 < outcome.measures["memory_percent"] < 100
    assert 0 < outcome.measures["disk_percent"] <= 100


def test_a_path_that_is_not_there_could_not_run(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    with pytest.raises(CouldNotRun, match="/nowhere"):
        look(make_check(type="host", paths=["/nowhere"]))


def test_without_proc_it_could_not_run(make_check: Callable[..., Any], look: Callable[..., Any]) -> None:
    with pytest.raises(CouldNotRun):
        look(make_check(type="host"), Tools(read=lambda path: None))
