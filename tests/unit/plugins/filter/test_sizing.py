"""The sizing filters hand plain data through, and errors with the filter's name."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.stack.plugins.filter.sizing import FilterModule

FILTERS = FilterModule().filters()


def test_settings_become_dictionaries() -> None:
    first = FILTERS["postgresql_settings"](16384, cores=4, max_connections=200)[1]
    assert (first["name"], first["value"], first["restart"]) == ("shared_buffers", "4GB", True)
    assert FILTERS["redis_settings"](1024)[0]["value"] == "665mb"


def test_a_budget_becomes_a_dictionary() -> None:
    budget = FILTERS["memory_budget"](4096, [{"name": "app", "app": "shop", "instances": 2}])
    assert (budget["app_limits_mb"], budget["fits"], type(budget["explanation"])) == ({"shop": 1792}, True, list)


def test_kernel_settings_read_the_hosts_facts() -> None:
    found = FILTERS["kernel_settings"](["postgresql"], {"memory_mb": 8192, "container": True})
    values = {setting["name"]: setting["value"] for setting in found["sysctl"]}
    assert values["vm.overcommit_memory"] == "0"
    assert found["transparent_hugepages"]["value"] == "never"
    assert FILTERS["kernel_settings"](["edge"], {"memory_mb": 8192})["transparent_hugepages"] is None


def test_huge_pages_get_their_reserve() -> None:
    assert FILTERS["huge_pages"]("100") == 102


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("postgresql_settings", (16384,), "cores"),
        ("postgresql_settings", ("8 gigs", 4), "positional"),
        ("redis_settings", ("8 gigs",), "memory_mb is '8 gigs'"),
        ("memory_budget", (1024, [{"name": "mysql"}]), "name is 'mysql'"),
        ("kernel_settings", (["edge"], {}), "memory_mb is None"),
        ("huge_pages", (-1,), "is -1"),
    ],
)
def test_errors_name_the_filter_and_the_argument(name: str, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises((AnsibleFilterError, TypeError)) as error:
        FILTERS[name](*arguments)
    assert message in str(error.value)
