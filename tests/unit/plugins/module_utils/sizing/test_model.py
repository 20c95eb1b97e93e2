"""Units and numbers."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.sizing.model import clamp, parse_size, size, whole
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(("mebibytes", "text"), [(0, "0MB"), (1, "1MB"), (1024, "1GB"), (1536, "1536MB")])
def test_sizes_are_written_in_the_largest_exact_unit(mebibytes: int, text: str) -> None:
    assert size(mebibytes) == text


@given(st.integers(0, 10**9))
def test_sizes_round_trip(mebibytes: int) -> None:
    assert parse_size("x", size(mebibytes)) == mebibytes * 1024**2


@pytest.mark.parametrize("text", ["", "8", "8 gigs", "GB", "-8GB", "8.5GB", "8gb"])
def test_what_is_no_size_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="work_mem is"):
        parse_size("work_mem", text)


@pytest.mark.parametrize("value", ["4", 4, 4.0])
def test_whole_numbers_are_taken_however_they_come(value: Any) -> None:
    assert whole("cores", value, 1) == 4


@pytest.mark.parametrize("value", [None, "", "four", 4.5, 0, True, [], "4.5"])
def test_anything_else_is_refused_by_name(value: Any) -> None:
    with pytest.raises(ValueError, match="cores is"):
        whole("cores", value, 1)


def test_clamp_keeps_the_lower_bound_where_bounds_cross() -> None:
    assert (clamp(5, 1, 3), clamp(0, 1, 3), clamp(5, 10, 3)) == (3, 1, 10)
