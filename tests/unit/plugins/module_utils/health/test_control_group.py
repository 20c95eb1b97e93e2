# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files of control groups, of both versions."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.control_group import (
    Use,
    is_version_1,
    limited_memory,
    memory_kills,
    memory_of,
    processes_of,
)
from ansible_collections.slipway.stack.plugins.module_utils.health.tools import Tools

V2 = "anon 300\nfile 500\ninactive_file 200000000\nactive_file 100000000\nslab_reclaimable 50000000\n"
V1 = "cache 1\ninactive_file 1\nactive_file 1\ntotal_inactive_file 300000000\ntotal_active_file 50000000\n"


@pytest.mark.parametrize(
    ("usage", "limit", "stat", "memory"),
    [
        ("600000000", "1000000000\n", V2, Use(250e6, 1e9)),
        ("600000000", "1000000000\n", V1, Use(250e6, 1e9)),
        ("100000000", "1000000000\n", V2, Use(0.0, 1e9)),
        ("600000000", "max\n", V2, Use(250e6, 0)),
        ("600000000", "9223372036854771712\n", V1, Use(250e6, 0)),
        (None, "1000000000", V2, None),
        ("600000000", None, V2, None),
        ("600000000", "1000000000", None, Use(600e6, 1e9)),
    ],
)
def test_memory_that_cannot_be_given_back(
    usage: str | None, limit: str | None, stat: str | None, memory: Use | None
) -> None:
    assert limited_memory(usage, limit, stat) == memory


def test_reads_a_group_of_version_2() -> None:
    group = "/sys/fs/cgroup/system.slice/a.service"
    tools = Tools(
        read={
            f"{group}/memory.current": "100",
            f"{group}/memory.max": "400",
            f"{group}/memory.events": "oom 9\noom_kill 1\n",
            f"{group}/pids.current": "3",
            f"{group}/pids.max": "max",
        }.get
    )
    memory = memory_of(tools, "/system.slice/a.service")
    assert memory == Use(100, 400)
    assert memory.percent == 25
    assert processes_of(tools, "/system.slice/a.service") == Use(3, 0)
    assert memory_kills(tools, "/system.slice/a.service") == 1
    assert not is_version_1(tools)


def test_reads_a_group_of_version_1() -> None:
    tools = Tools(
        read={
            "/sys/fs/cgroup/memory/a/memory.usage_in_bytes": "100",
            "/sys/fs/cgroup/memory/a/memory.limit_in_bytes": "400",
            "/sys/fs/cgroup/memory/a/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
            "/sys/fs/cgroup/memory/memory.usage_in_bytes": "1",
            "/sys/fs/cgroup/pids/a/pids.current": "3",
            "/sys/fs/cgroup/pids/a/pids.max": "12",
        }.get
    )
    assert memory_of(tools, "/a") == Use(100, 400)
    assert processes_of(tools, "/a") == Use(3, 12)
    assert memory_kills(tools, "/a") == 1
    assert is_version_1(tools)


def test_what_is_not_counted_is_nothing() -> None:
    tools = Tools(read=lambda path: None)
    assert memory_of(tools, "/a") is processes_of(tools, "/a") is memory_kills(tools, "/a") is None
    assert Use(5, 0).percent == 0
