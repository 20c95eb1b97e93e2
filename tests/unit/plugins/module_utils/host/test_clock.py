"""How far a host's clock is off, and how sure that is."""

from __future__ import annotations

from ansible_collections.slipway.stack.plugins.module_utils.host.clock import Sample, best, sharp
from hypothesis import given
from hypothesis import strategies as st


def test_the_middle_of_asking_and_hearing_counts() -> None:
    sample = Sample(before=100.0, after=102.0, host=106.0)
    assert (sample.offset, sample.uncertainty) == (5.0, 1.0)


def test_the_quickest_answer_is_the_best() -> None:
    slow, quick = Sample(0, 2, 1), Sample(10, 10.1, 10)
    assert best([slow, quick]) is quick
    assert sharp(quick)
    assert not sharp(slow)


@given(st.floats(0, 1e6), st.floats(0, 10), st.floats(0, 10), st.floats(-1e4, 1e4))
def test_the_truth_lies_within_the_uncertainty(start: float, there: float, back: float, skew: float) -> None:
    sample = Sample(start, start + there + back, start + there + skew)
    assert abs(sample.offset - skew) <= sample.uncertainty + 1e-6
