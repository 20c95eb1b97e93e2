# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Numbers with units."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.units import Quantity, human_bytes, parse_quantity
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("raw", "value", "kind"),
    [
        (42, 42, "number"),
        (1.5, 1.5, "number"),
        ("42", 42, "number"),
        (" -1.5 ", -1.5, "number"),
        ("1,024", 1024, "number"),
        ("1e3", 1000, "number"),
        ("83%", 83, "percent"),
        ("83.5 %", 83.5, "percent"),
        ("245MB", 245e6, "bytes"),
        ("245 mb", 245e6, "bytes"),
        ("2GiB", 2 * 1024**3, "bytes"),
        ("1,024 kB", 1024e3, "bytes"),
        ("512 bytes", 512, "bytes"),
        ("2h 15m", 8100, "seconds"),
        ("2h15m", 8100, "seconds"),
        ("3 days, 4 hours", 3 * 86400 + 4 * 3600, "seconds"),
        ("150ms", 0.15, "seconds"),
        ("12 µs", 12e-6, "seconds"),
        ("-5 minutes", -300, "seconds"),
        ("1.5 s", 1.5, "seconds"),
    ],
)
def test_reads(raw: object, value: float, kind: str) -> None:
    quantity = parse_quantity(raw)
    assert quantity is not None
    assert quantity.kind == kind
    assert quantity.value == pytest.approx(value)


@pytest.mark.parametrize(
    "raw",
    ["", " ", "ok", "245 parrots", "MB", "5M", "2G", "5S", "1.2.3", "12:30", "245MB 3MB", "2h left", "0x10"],
)
def test_refuses_texts_that_are_no_number(raw: str) -> None:
    assert parse_quantity(raw) is None


@pytest.mark.parametrize("raw", [None, True, [], {}, "1,2", "nan", "inf"])
def test_refuses_what_is_no_number(raw: object) -> None:
    assert parse_quantity(raw) is None


@given(st.integers(0, 10**6), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_times_add_up(days: int, hours: int, minutes: int, seconds: int) -> None:
    text = f"{days}d {hours}h {minutes}m {seconds}s"
    assert parse_quantity(text) == Quantity(days * 86400 + hours * 3600 + minutes * 60 + seconds, "seconds")


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=0, max_value=1e12))
def test_a_number_and_its_text_are_equal(number: float) -> None:
    assert parse_quantity(str(number)) == parse_quantity(number)


@given(st.text())
def test_takes_any_text(text: str) -> None:
    parse_quantity(text)


@pytest.mark.parametrize(("count", "text"), [(12, "12 B"), (1500, "1.5 kB"), (245e6, "245.0 MB"), (2e12, "2.0 TB")])
def test_human_bytes(count: float, text: str) -> None:
    assert human_bytes(count) == text
