"""Kernel settings by what runs on a host."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.sizing.kernel import (
    SERVICES,
    huge_pages,
    kernel_settings,
    ranges,
)
from ansible_collections.slipway.stack.plugins.module_utils.sysctl.model import normalise
from hypothesis import given
from hypothesis import strategies as st


def values(services: list[str], memory_mb: int = 8192, **options: Any) -> dict[str, str]:
    return {setting.name: setting.value for setting in kernel_settings(services, memory_mb, **options).sysctl}


@pytest.mark.parametrize(
    ("services", "options", "expected"),
    [
        (["edge"], {}, {"net.core.somaxconn": "65535", "vm.swappiness": "10", "vm.overcommit_memory": "0"}),
        (["app"], {}, {"net.ipv4.ip_local_port_range": "10000 65535", "net.ipv4.tcp_tw_reuse": "1"}),
        (["redis"], {}, {"vm.swappiness": "1", "vm.overcommit_memory": "1"}),
        (["postgresql"], {}, {"vm.swappiness": "1", "vm.overcommit_memory": "2", "vm.overcommit_ratio": "80"}),
        (["postgresql"], {"container": True}, {"vm.overcommit_memory": "0", "vm.overcommit_ratio": None}),
        (["postgresql"], {"memory_mb": 2048}, {"vm.overcommit_memory": "0"}),
        (["postgresql", "app"], {}, {"vm.overcommit_memory": "0"}),
        (["postgresql", "redis"], {}, {"vm.overcommit_memory": "1"}),
        (["postgresql"], {"huge_pages": 1000}, {"vm.nr_hugepages": "1000"}),
        (["postgresql"], {}, {"vm.nr_hugepages": None}),
        (["edge"], {"huge_pages": 1000}, {"vm.nr_hugepages": None}),
        (["edge"], {}, {"vm.dirty_bytes": "536870912", "vm.dirty_background_bytes": "67108864"}),
        (["edge"], {"memory_mb": 512}, {"vm.dirty_bytes": "106954752", "vm.dirty_background_bytes": "26214400"}),
        (["redis"], {"reserved_ports": [6379, 16380, 16379]}, {"net.ipv4.ip_local_reserved_ports": "16379-16380"}),
        (["redis"], {"reserved_ports": [6379]}, {"net.ipv4.ip_local_reserved_ports": None}),
    ],
)
def test_settings_by_service(services: list[str], options: dict[str, Any], expected: dict[str, str | None]) -> None:
    found = values(services, **options)
    assert {name: found.get(name) for name in expected} == expected


def test_the_operators_word_wins_adds_and_leaves_out() -> None:
    found = values(["edge"], overrides={"vm.swappiness": 30, "net.ipv4.tcp_syncookies": None, "kernel.panic": 10})
    assert found["vm.swappiness"] == "30"
    assert found["kernel.panic"] == "10"
    assert "net.ipv4.tcp_syncookies" not in found


@pytest.mark.parametrize(("service", "gone"), [("redis", True), ("postgresql", True), ("edge", False), ("app", False)])
def test_transparent_huge_pages_go_where_a_database_runs(service: str, gone: bool) -> None:
    setting = kernel_settings([service], 1024).transparent_hugepages
    assert (setting is not None and setting.value == "never") is gone


@pytest.mark.parametrize(("pages", "expected"), [(0, 0), (1, 2), (100, 102), (2107, 2150)])
def test_huge_pages_get_two_percent_more(pages: int, expected: int) -> None:
    assert huge_pages(pages) == expected


@pytest.mark.parametrize(("ports", "text"), [([], ""), ([5], "5"), ([5, 6, 7], "5-7"), ([5, 7, 8, 10], "5,7-8,10")])
def test_ports_are_written_as_the_kernel_writes_them(ports: list[int], text: str) -> None:
    assert ranges(ports) == text


@pytest.mark.parametrize(
    ("services", "options", "message"),
    [
        (["rediss"], {}, "services: unknown rediss; expected some of edge, app"),
        (["edge"], {"memory_mb": 0}, "memory_mb is 0"),
        (["postgresql"], {"huge_pages": 4000}, "huge_pages is 4000"),
        (["edge"], {"reserved_ports": [0]}, "reserved_ports is 0"),
    ],
)
def test_bad_input_is_refused_by_name(services: list[str], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        values(services, **options)


@given(st.sets(st.sampled_from(SERVICES)), st.integers(64, 4 * 1024**2), st.booleans())
def test_every_setting_is_one_that_the_module_sysctl_takes_and_has_a_reason(
    services: set[str], memory_mb: int, container: bool
) -> None:
    settings = kernel_settings(sorted(services), memory_mb, container).sysctl
    wanted = {setting.name: setting.value for setting in settings}
    assert normalise(wanted) == wanted
    assert len(wanted) == len(settings)
    assert all(setting.reason for setting in settings)
    assert int(wanted["vm.dirty_background_bytes"]) < int(wanted["vm.dirty_bytes"])
