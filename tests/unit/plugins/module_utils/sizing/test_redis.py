"""Redis settings from a budget."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.sizing.redis import POLICIES, redis_settings
from hypothesis import given
from hypothesis import strategies as st


def test_a_store_of_one_gigabyte() -> None:
    settings = {setting.name: setting.value for setting in redis_settings(1024)}
    assert settings["maxmemory"] == "665mb"
    assert settings["maxmemory-policy"] == "noeviction"
    assert settings["save"] == "900 1 300 10 60 10000"
    assert settings["appendonly"] == "yes"


def test_the_guides_8_gb_come_from_a_budget_of_12604() -> None:
    assert redis_settings(12604)[0].value == "8192mb"


def test_a_cache_without_persistence_gets_more() -> None:
    settings = {setting.name: setting.value for setting in redis_settings(1024, "allkeys-lru", persistent=False)}
    assert (settings["maxmemory"], settings["appendonly"], settings["save"]) == ("819mb", "no", '""')


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((16,), "memory_mb is 16"), ((True,), "memory_mb is True"), ((64, "lru"), "policy is 'lru'; expected one of")],
)
def test_bad_input_is_refused_by_name(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        redis_settings(*arguments)  # type: ignore[arg-type]


@given(st.integers(32, 1024**2), st.sampled_from(POLICIES), st.booleans())
def test_maxmemory_leaves_room(memory_mb: int, policy: str, persistent: bool) -> None:
    maxmemory = int(redis_settings(memory_mb, policy, persistent)[0].value[:-2])
    assert 0 < maxmemory <= memory_mb * (0.7 if persistent else 0.8)
    if persistent:
        assert maxmemory >= int(memory_mb * 0.6)
