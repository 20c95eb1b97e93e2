"""PostgreSQL settings: the guide's example, the table of formulas, and what must hold for every host."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.sizing.budget import memory_budget
from ansible_collections.slipway.stack.plugins.module_utils.sizing.model import parse_size
from ansible_collections.slipway.stack.plugins.module_utils.sizing.postgresql import PROFILES, postgresql_settings
from hypothesis import given
from hypothesis import strategies as st

MIB = 1024**2
SIZES = (
    "shared_buffers",
    "effective_cache_size",
    "work_mem",
    "maintenance_work_mem",
    "autovacuum_work_mem",
    "min_wal_size",
    "max_wal_size",
    "max_slot_wal_keep_size",
)


def values(memory_mb: int, cores: int = 4, **options: Any) -> dict[str, str]:
    return {setting.name: setting.value for setting in postgresql_settings(memory_mb, cores, **options)}


def test_the_guides_worked_example_of_16_gb() -> None:
    budget = memory_budget(16384, [{"name": "postgresql"}])
    settings = values(budget.postgresql_mb, 4, max_connections=200)
    expected = {
        "shared_buffers": "4GB",
        "effective_cache_size": "12GB",
        "maintenance_work_mem": "1GB",
        "checkpoint_completion_target": "0.9",
        "max_connections": "200",
    }
    assert {name: settings[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"max_connections": "200", "jit": "off", "wal_compression": "lz4", "log_min_duration_statement": "1000"}),
        (
            {"profile": "olap"},
            {"max_connections": "40", "jit": "on", "maintenance_work_mem": "2GB", "work_mem": "46MB"},
        ),
        ({"profile": "olap", "cores": 16}, {"max_parallel_workers_per_gather": "8", "max_worker_processes": "24"}),
        ({"profile": "mixed"}, {"max_connections": "100", "work_mem": "19MB"}),
        ({"profile": "oltp"}, {"max_connections": "300", "max_wal_size": "8GB", "min_wal_size": "2GB"}),
        ({"cores": 1}, {"max_parallel_workers_per_gather": "1", "max_worker_processes": "16"}),
        ({"rotational": True}, {"random_page_cost": "4", "effective_io_concurrency": "2"}),
        ({"rotational": False, "version": 18}, {"random_page_cost": "1.1", "effective_io_concurrency": "64"}),
        ({"version": 18}, {"effective_io_concurrency": "16", "io_method": "worker", "io_workers": "3"}),
        ({"version": 17}, {"effective_io_concurrency": "200"}),
        ({"version": 14}, {"wal_compression": "on"}),
        ({"wal_disk_mb": 10240}, {"max_wal_size": "2GB", "min_wal_size": "512MB", "max_slot_wal_keep_size": "3GB"}),
        ({"wal_disk_mb": 100}, {"max_wal_size": "128MB", "min_wal_size": "32MB"}),
        ({}, {"password_encryption": "scram-sha-256", "log_connections": "on", "log_disconnections": "on"}),
    ],
)
def test_formulas(options: dict[str, Any], expected: dict[str, str]) -> None:
    settings = values(16384, **options)
    assert {name: settings.get(name) for name in expected} == expected


def test_version_18_alone_knows_io_method() -> None:
    assert "io_method" not in values(16384, version=17)


def test_a_small_budget_gets_floors() -> None:
    settings = values(256, 1)
    assert settings["shared_buffers"] == "64MB"
    assert settings["work_mem"] == "4MB"
    assert settings["maintenance_work_mem"] == "16MB"
    assert settings["max_connections"] == "20"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"memory_mb": 64}, "memory_mb is 64; expected a whole number of at least 128"),
        ({"memory_mb": "8 gigs"}, "memory_mb is '8 gigs'"),
        ({"cores": 0}, "cores is 0"),
        ({"max_connections": 0}, "max_connections is 0"),
        ({"profile": "dw"}, "profile is 'dw'; expected one of web, oltp, olap, mixed"),
        ({"version": 13}, "version is 13"),
        ({"overrides": {"shared_buffers": "8 gigs"}}, "shared_buffers is '8 gigs'; expected a number and a unit"),
        ({"overrides": {"shared_buffers": 1024}}, "shared_buffers is '1024'; expected a number with its unit"),
        ({"overrides": {"shared_buffers": "64GB"}}, "shared_buffers is 64GB; expected at most the memory budget"),
    ],
)
def test_bad_input_is_refused_by_name(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        postgresql_settings(**{"memory_mb": 1024, "cores": 2, **arguments})


def test_the_operators_word_wins_and_new_settings_are_added() -> None:
    overrides = {"jit": True, "shared_buffers": "512MB", "wal_level": "logical"}
    found = {setting.name: setting for setting in postgresql_settings(1024, 2, overrides=overrides)}
    assert (found["jit"].value, found["shared_buffers"].value, found["wal_level"].value) == ("on", "512MB", "logical")
    assert found["shared_buffers"].restart
    assert found["wal_level"].restart
    assert "sizing says 256MB" in found["shared_buffers"].reason


hosts = st.fixed_dictionaries(
    {
        "memory_mb": st.integers(128, 4 * 1024**2),
        "cores": st.integers(1, 256),
        "max_connections": st.none() | st.integers(1, 5000),
        "profile": st.sampled_from(PROFILES),
        "rotational": st.none() | st.booleans(),
        "version": st.integers(14, 18),
        "wal_disk_mb": st.none() | st.integers(1, 10 * 1024**2),
    }
)


@given(hosts)
def test_sizes_stay_within_the_budget_and_every_setting_has_a_reason(host: dict[str, Any]) -> None:
    settings = postgresql_settings(**host)
    by_name = {setting.name: setting.value for setting in settings}
    assert len(by_name) == len(settings)
    assert all(setting.reason for setting in settings)
    budget = host["memory_mb"] * MIB
    shared, cache = (parse_size(name, by_name[name]) for name in ("shared_buffers", "effective_cache_size"))
    assert 0 < shared <= budget // 4
    assert shared < cache < budget
    assert parse_size("work_mem", by_name["work_mem"]) >= 4 * MIB
    assert parse_size("work_mem", by_name["work_mem"]) <= budget
    assert parse_size("autovacuum_work_mem", by_name["autovacuum_work_mem"]) <= parse_size(
        "maintenance_work_mem", by_name["maintenance_work_mem"]
    )
    assert parse_size("min_wal_size", by_name["min_wal_size"]) < parse_size("max_wal_size", by_name["max_wal_size"])
    assert int(by_name["max_parallel_workers_per_gather"]) <= int(by_name["max_parallel_workers"])
    assert int(by_name["max_parallel_workers"]) <= int(by_name["max_worker_processes"])


@given(hosts, st.integers(0, 1024**2))
def test_more_memory_never_gives_less(host: dict[str, Any], more: int) -> None:
    host["max_connections"] = host["max_connections"] or 100
    before = {setting.name: setting.value for setting in postgresql_settings(**host)}
    after = {
        setting.name: setting.value
        for setting in postgresql_settings(**{**host, "memory_mb": host["memory_mb"] + more})
    }
    for name in SIZES:
        assert parse_size(name, after[name]) >= parse_size(name, before[name])
