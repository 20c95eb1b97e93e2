# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Retries and consecutive successes, without waiting."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.waiter import Patience, wait
from hypothesis import given
from hypothesis import strategies as st


def waited(values: str, patience: Patience) -> tuple[str, int, list[float]]:
    """``g`` is good, ``b`` bad, ``f`` bad and final."""
    series: Iterator[str] = iter(values)
    slept: list[float] = []
    done = wait(lambda: next(series), lambda value: value == "g", lambda value: value == "f", patience, slept.append)
    return done.value, done.attempts, slept


@pytest.mark.parametrize(
    ("values", "patience", "value", "attempts"),
    [
        ("g", Patience(), "g", 1),
        ("b", Patience(), "b", 1),
        ("bg", Patience(retries=1), "g", 2),
        ("bb", Patience(retries=1), "b", 2),
        ("gg", Patience(successes=2), "g", 2),
        ("gb", Patience(successes=2), "b", 2),
        ("gbgg", Patience(retries=1, successes=2), "g", 4),
        ("gbgb", Patience(retries=1, successes=2), "b", 4),
        ("f", Patience(retries=9), "f", 1),
        ("bf", Patience(retries=9), "f", 2),
    ],
)
def test_waits(values: str, patience: Patience, value: str, attempts: int) -> None:
    assert waited(values, patience)[:2] == (value, attempts)


def test_pauses_between_attempts_only() -> None:
    assert waited("bbg", Patience(retries=5, delay_seconds=0.25))[2] == [0.25, 0.25]


@given(st.lists(st.booleans(), min_size=200, max_size=200), st.integers(0, 5), st.integers(1, 4))
def test_never_takes_more_attempts_than_it_says(values: list[bool], retries: int, successes: int) -> None:
    patience = Patience(retries, 1, successes)
    value, attempts, slept = waited("".join("g" if value else "b" for value in values), patience)
    assert attempts <= patience.attempts()
    assert attempts + sum(slept) <= patience.budget(1)
    good = all(values[attempts - successes : attempts]) and attempts >= successes
    assert good == (value == "g")
