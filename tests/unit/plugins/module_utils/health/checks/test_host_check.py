# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host's own figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.checks.host import (
    Disk,
    HostCheck,
    HostState,
    TimeDaemon,
    mounted,
    parse_chrony,
    parse_file_handles,
    parse_meminfo,
    parse_timesync,
)
from ansible_collections.slipway.stack.plugins.module_utils.health.control_group import Use
from ansible_collections.slipway.stack.plugins.module_utils.health.model import CouldNotRun, Status
from ansible_collections.slipway.stack.plugins.module_utils.health.tools import Completed, Deadline, Tools

OK, WARNING, CRITICAL = Status.OK, Status.WARNING, Status.CRITICAL
GOOD = HostState((Disk("/", 40, 1e10, 5),), Use(4e8, 1e9), 30, False, Use(1000, 1e6), Use(300, 30000), 0.4)
IN_STEP = TimeDaemon("chrony", True, 0.0002)


@pytest.mark.parametrize(
    ("options", "change", "status", "words"),
    [
        ({}, {}, OK, "disk 40 % (/), memory 40 % of 1.0 GB, load 30 % a core"),
        ({}, {"disks": (Disk("/", 80, 1e9, 5),)}, WARNING, "/ is 80 % full, 1.0 GB left"),
        ({}, {"disks": (Disk("/", 10, 1e9, 5), Disk("/data", 91, 1e9, 5))}, CRITICAL, "/data is 91 % full"),
        ({}, {"disks": (Disk("/", 10, 1e9, 85),)}, WARNING, "85 % of its inodes"),
        ({}, {"memory": Use(8e8, 1e9)}, WARNING, "80 % of 1.0 GB memory"),
        ({}, {"memory": Use(9.5e8, 1e9)}, CRITICAL, "95 % of 1.0 GB memory"),
        ({}, {"load_percent": 80}, WARNING, "load of five minutes is 80 %"),
        ({}, {"load_percent": 500}, WARNING, "load"),
        ({"load_crit_percent": 200}, {"load_percent": 500}, CRITICAL, "load"),
        ({}, {"load_percent": 500, "shared": True}, OK, "(machine)"),
        ({"memory_warn_percent": 30}, {}, WARNING, "memory"),
        ({}, {"disks": ()}, OK, "memory"),
        ({}, {"files": Use(800000, 1e6)}, WARNING, "800000 of 1000000 open files"),
        ({}, {"files": Use(950000, 1e6), "shared": True}, CRITICAL, "open files are in use on the machine"),
        ({}, {"files": Use(0, 0)}, OK, ""),
        ({}, {"processes": Use(24000, 30000)}, WARNING, "24000 of 30000 processes"),
        ({}, {"processes": Use(29000, 30000)}, CRITICAL, "29000 of 30000 processes"),
        ({"processes_warn_percent": 0, "processes_crit_percent": 0}, {"processes": Use(9, 9)}, OK, ""),
        ({}, {"ahead_seconds": None}, OK, ""),
        # Seconds ahead are the time that the task was on its way.
        ({}, {"ahead_seconds": 9.0}, OK, ""),
        ({}, {"ahead_seconds": 10.0}, WARNING, "the clock is 10 s ahead of the controller's"),
        ({}, {"ahead_seconds": 35.0}, CRITICAL, "the clock is 35 s ahead of the controller's"),
        ({}, {"ahead_seconds": -4.0}, OK, ""),
        ({}, {"ahead_seconds": -5.0}, WARNING, "the clock is 5 s behind the controller's"),
        ({}, {"ahead_seconds": -3600.0}, CRITICAL, "the clock is 3600 s behind"),
        ({"clock_warn_seconds": 1}, {"ahead_seconds": -1.5}, WARNING, "behind"),
        ({}, {"daemon": IN_STEP}, OK, ""),
        ({}, {"daemon": TimeDaemon("chrony")}, WARNING, "chrony is not in step with any time server"),
        ({}, {"daemon": TimeDaemon("systemd-timesyncd")}, WARNING, "systemd-timesyncd is not in step"),
        ({}, {"daemon": TimeDaemon("")}, WARNING, "no program keeps the clock"),
        ({}, {"daemon": TimeDaemon("chrony", True, 6.0)}, WARNING, "6 s off, as chrony says"),
        ({}, {"daemon": TimeDaemon("chrony", True, 60.0)}, CRITICAL, "60 s off, as chrony says"),
        ({}, {"kills": 3}, OK, ""),
        ({}, {"kills": 3, "killed": ("a.service", "b.service")}, WARNING, "for want of memory: a.service, b.service"),
        ({}, {"reboot_days": 13.0}, OK, ""),
        ({}, {"reboot_days": 14.0}, WARNING, "a reboot has been due for 14 days"),
        ({"reboot_warn_days": 0}, {"reboot_days": 99.0}, OK, ""),
    ],
)
def test_judges(
    make_check: Callable[..., Any], options: dict[str, Any], change: dict[str, Any], status: Status, words: str
) -> None:
    outcome = make_check(type="host", **options).judge(dataclasses.replace(GOOD, **change))
    assert outcome.status is status
    assert words in outcome.message
    assert bool(outcome.next_step) == (status is not OK)


def test_shows_what_it_does_not_judge(make_check: Callable[..., Any]) -> None:
    state = dataclasses.replace(GOOD, shared=True, daemon=IN_STEP, kills=2, reboot_days=3.0)
    outcome = make_check(type="host").judge(state)
    for words in (
        "open files 0 % (machine)",
        "processes 300 of 30000",
        "clock 0 s ahead of the controller's",
        "chrony in step within 0.2 ms",
        "2 processes killed for want of memory since the start",
        "reboot due for 3 days",
    ):
        assert words in outcome.seen
    assert outcome.measures["clock_seconds"] == 0.4
    assert "load" not in outcome.wanted


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"disk_warn_percent": 95}, "disk_warn_percent (95) is above disk_crit_percent (90)"),
        ({"clock_warn_seconds": 60}, "clock_warn_seconds (60) is above clock_crit_seconds (30)"),
        ({"paths": ["data"]}, "paths: 'data' is not absolute"),
    ],
)
def test_refuses(options: dict[str, Any], words: str) -> None:
    assert words in HostCheck(**options).problems()[0]


class Host:
    """A host made of files, commands and times."""

    def __init__(self, files: dict[str, str], commands: dict[str, str] | None = None) -> None:
        self.files = {
            "/proc/meminfo": "MemTotal: 16000000 kB\nMemAvailable: 8000000 kB\n",
            "/proc/loadavg": "0.10 0.20 0.30 2/345 999\n",
            "/proc/sys/fs/file-nr": "1244\t44\t2466170\n",
            **files,
        }
        self.commands = commands or {}
        self.ran: list[list[str]] = []

    def run(self, argv: Sequence[str], timeout: float) -> Completed:
        self.ran.append(list(argv))
        return Completed(0, self.commands.get(" ".join(argv[:2]), ""), "")

    def look(self, check: HostCheck, now: float = 5000.0) -> HostState:
        tools = Tools(clock=lambda: 107.0, now=lambda: now, arrived=100.0, run=self.run, read=self.files.get)
        return check.look(tools, Deadline.after(tools.clock, 5))


CONTAINER = {"/run/systemd/container": "docker\n"}
VERSION_2 = {
    "/sys/fs/cgroup/memory.current": "600000000\n",
    "/sys/fs/cgroup/memory.max": "1000000000\n",
    "/sys/fs/cgroup/memory.stat": "inactive_file 100000000\n",
    "/sys/fs/cgroup/memory.events": "low 0\nhigh 0\nmax 7\noom 2\noom_kill 2\noom_group_kill 0\n",
    "/sys/fs/cgroup/pids.current": "12\n",
    "/sys/fs/cgroup/pids.max": "500\n",
}
VERSION_1 = {
    "/sys/fs/cgroup/memory/memory.usage_in_bytes": "600000000\n",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes": "1000000000\n",
    "/sys/fs/cgroup/memory/memory.stat": "inactive_file 1\ntotal_inactive_file 100000000\n",
    "/sys/fs/cgroup/memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    "/sys/fs/cgroup/pids/pids.current": "12\n",
    "/sys/fs/cgroup/pids/pids.max": "500\n",
}
KILLED = '{"__REALTIME_TIMESTAMP":"4900000000","MESSAGE_ID":"fe6faa94e7774663a0da52717891d8ef","UNIT":"a.service"}\n'


@pytest.mark.parametrize("groups", [VERSION_1, VERSION_2])
def test_looks_at_a_container_of_either_version(groups: dict[str, str]) -> None:
    host = Host({**CONTAINER, **groups}, {"journalctl --no-pager": KILLED * 2})
    state = host.look(HostCheck(paths=["/"], controller_epoch=4990))
    assert state.memory == Use(5e8, 1e9)
    assert state.processes == Use(12, 500)
    assert state.files == Use(1200, 2466170)
    assert (state.kills, state.killed) == (2, ("a.service",))
    # It began seven seconds ago; only what was before is the clock's.
    assert state.ahead_seconds == 3
    assert state.daemon is None
    assert [argv[0] for argv in host.ran] == ["journalctl"]
    assert "--since=@4400" in host.ran[0]


def test_looks_at_a_machine() -> None:
    files = {
        "/proc/sys/kernel/pid_max": "32768",
        "/proc/sys/kernel/threads-max": "9000",
        "/proc/vmstat": "oom_kill 0\n",
    }
    commands = {"systemctl is-active": "active\ninactive\ninactive\ninactive\n", "chronyc -c": CHRONY}
    host = Host(files, commands)
    state = host.look(HostCheck(paths=["/"]))
    assert state.memory.limit == 16e6 * 1024
    assert state.processes == Use(345, 9000)
    assert state.daemon == TimeDaemon("chrony", True, 0.000012)
    assert state.ahead_seconds is None
    assert "journalctl" not in [argv[0] for argv in host.ran]


@pytest.mark.parametrize(
    ("states", "daemon"),
    [
        ("inactive\nactive\ninactive\ninactive\n", TimeDaemon("systemd-timesyncd", True, 0.001234)),
        ("inactive\ninactive\nactive\ninactive\n", TimeDaemon("ntpsec", True)),
        ("inactive\ninactive\ninactive\ninactive\n", TimeDaemon("")),
        ("", None),
    ],
)
def test_finds_what_keeps_the_clock(states: str, daemon: TimeDaemon | None) -> None:
    host = Host({}, {"systemctl is-active": states, "timedatectl timesync-status": TIMESYNC})
    assert host.look(HostCheck(paths=["/"])).daemon == daemon


CHRONY = "C0000201,192.0.2.1,3,1795531464.1,-0.000012,0.00001,0.0002,-1.2,0.0,0.1,0.002,0.001,64.2,Normal\n"
TIMESYNC = """       Server: 192.0.2.1 (time.example.org)
Poll interval: 17min 4s (min: 32s; max 34min 8s)
         Leap: normal
       Offset: -1.234ms
        Delay: 5.1ms
"""


@pytest.mark.parametrize(
    ("text", "daemon"),
    [
        (CHRONY, TimeDaemon("chrony", True, 0.000012)),
        (CHRONY.replace("Normal", "Not synchronised"), TimeDaemon("chrony", False, 0.000012)),
        ("506 Cannot talk to daemon\n", TimeDaemon("chrony")),
        ("", TimeDaemon("chrony")),
    ],
)
def test_reads_chrony(text: str, daemon: TimeDaemon) -> None:
    assert parse_chrony(text) == daemon


@pytest.mark.parametrize(
    ("text", "synchronised", "offset"),
    [
        (TIMESYNC, True, 0.001234),
        (TIMESYNC.replace("-1.234ms", "+2min 3.5s"), True, 123.5),
        ("Server: n/a\n", False, 0),
    ],
)
def test_reads_timesyncd(text: str, synchronised: bool, offset: float) -> None:
    daemon = parse_timesync(text)
    assert daemon.synchronised is synchronised
    assert daemon.offset_seconds == pytest.approx(offset)


def test_reads_open_files() -> None:
    assert parse_file_handles("10 2 100\n") == Use(8, 100)
    assert parse_file_handles("") == Use(0, 0)


def test_reads_meminfo() -> None:
    assert parse_meminfo("MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 750 kB\n") == Use(256000.0, 1024000.0)


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
