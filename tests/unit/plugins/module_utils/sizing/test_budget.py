"""One budget for a host: worked examples, and what must hold for every mix of services."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.sizing.budget import Budget, memory_budget
from hypothesis import given
from hypothesis import strategies as st

SINGLE = [
    {"name": "edge"},
    {"name": "postgresql"},
    {"name": "redis"},
    {"name": "app", "app": "shop", "instances": 4},
]


def test_postgresql_alone_gets_the_whole_host() -> None:
    budget = memory_budget(16384, [{"name": "postgresql"}])
    assert (budget.postgresql_mb, budget.os_mb, budget.fits) == (16384, 0, True)
    assert "alone" in budget.explanation[0]


def test_the_guides_single_server() -> None:
    budget = memory_budget(8192, SINGLE)
    assert budget.os_mb == 1024
    assert budget.edge_mb == 341
    assert budget.postgresql_mb == 2731
    assert budget.redis_mb_per_instance == 1365
    assert budget.app_limits_mb == {"shop": 682}
    assert budget.fits
    assert any("lowered from 2048 MB" in line for line in budget.explanation)


def test_an_app_alone_never_gets_more_than_its_limit() -> None:
    budget = memory_budget(65536, [{"name": "app", "app": "shop", "instances": 4, "limit_mb": 2048}])
    assert budget.app_limits_mb == {"shop": 2048}
    assert budget.worst_case_mb == 1024 + 4 * 2048


def test_a_fixed_limit_is_not_lowered_and_what_does_not_fit_is_said() -> None:
    budget = memory_budget(2048, [{"name": "app", "app": "shop", "instances": 4, "limit_mb": 1024, "fixed": True}])
    assert budget.app_limits_mb == {"shop": 1024}
    assert not budget.fits
    assert "does not fit" in budget.explanation[-1]


def test_redis_instances_share_what_one_would_get() -> None:
    one = memory_budget(4096, [{"name": "postgresql"}, {"name": "redis"}])
    two = memory_budget(4096, [{"name": "postgresql"}, {"name": "redis", "instances": 2}])
    assert two.redis_mb_per_instance == one.redis_mb_per_instance // 2


def test_an_empty_host_is_all_the_systems() -> None:
    budget = memory_budget(1024, [])
    assert (budget.os_mb, budget.worst_case_mb, budget.fits) == (128, 128, True)


@pytest.mark.parametrize(
    ("services", "message"),
    [
        ([{"name": "mysql"}], "name is 'mysql'; expected one of"),
        ([{"app": "shop"}], "name is None"),
        ([{"name": "app"}], "app is None; expected the application's name"),
        ([{"name": "redis", "instance": 2}], "redis has unknown keys instance; expected name, instances"),
        ([{"name": "redis", "instances": 0}], "redis: instances is 0"),
        ([{"name": "app", "app": "shop", "limit_mb": "2 GB"}], "shop: limit_mb is '2 GB'"),
        ([{"name": "edge"}, {"name": "edge"}], "given twice: edge"),
    ],
)
def test_bad_services_are_refused_by_name(services: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        memory_budget(4096, services)


@st.composite
def mixes(draw: st.DrawFn) -> list[dict[str, Any]]:
    singles = draw(st.sets(st.sampled_from(["postgresql", "edge", "etcd", "pgbouncer", "backup", "monitoring"])))
    services: list[dict[str, Any]] = [{"name": name} for name in sorted(singles)]
    if draw(st.booleans()):
        services.append({"name": "redis", "instances": draw(st.integers(1, 6))})
    for number in range(draw(st.integers(0, 3))):
        app = {"name": "app", "app": f"app{number}", "instances": draw(st.integers(1, 16))}
        services.append({**app, "limit_mb": draw(st.integers(1, 8192)), "fixed": draw(st.booleans())})
    return services


def total(budget: Budget, services: list[dict[str, Any]]) -> int:
    counts = {service.get("app", service["name"]): service.get("instances", 1) for service in services}
    return (
        budget.os_mb
        + budget.postgresql_mb
        + budget.redis_mb_per_instance * counts.get("redis", 0)
        + budget.edge_mb
        + sum(budget.other_mb.values())
        + sum(limit * counts[app] for app, limit in budget.app_limits_mb.items())
    )


@given(st.integers(128, 1024**2), mixes())
def test_what_fits_is_at_most_the_memory_and_the_sum_is_told(memory_mb: int, services: list[dict[str, Any]]) -> None:
    budget = memory_budget(memory_mb, services)
    assert budget.worst_case_mb == total(budget, services)
    assert not budget.fits or budget.worst_case_mb <= memory_mb
    assert budget.fits or "does not fit" in budget.explanation[-1]


@given(st.integers(128, 1024**2), st.integers(0, 1024**2), mixes())
def test_more_memory_never_gives_anyone_less(memory_mb: int, more: int, services: list[dict[str, Any]]) -> None:
    small, large = memory_budget(memory_mb, services), memory_budget(memory_mb + more, services)
    assert large.postgresql_mb >= small.postgresql_mb
    assert large.redis_mb_per_instance >= small.redis_mb_per_instance
    assert large.edge_mb >= small.edge_mb
    assert all(large.app_limits_mb[app] >= limit for app, limit in small.app_limits_mb.items())
    assert large.fits >= small.fits
