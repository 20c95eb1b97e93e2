# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far a host's clock is from the controller's, and how sure that is.

The host's clock was read at some moment between asking and hearing the answer, so that the middle of the two is off by
half of the time between them at most (Cristian's algorithm).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_SHARP_SECONDS = 0.25


@dataclass(frozen=True)
class Sample:
    """One reading: the controller's clock before and after, and the host's in between, in seconds since 1970 (UTC)."""

    before: float
    after: float
    host: float

    @property
    def offset(self) -> float:
        """Seconds that the host's clock is ahead (negative: behind)."""
        return self.host - (self.before + self.after) / 2

    @property
    def uncertainty(self) -> float:
        """Seconds by which the offset may be wrong."""
        return (self.after - self.before) / 2


def best(samples: Sequence[Sample]) -> Sample:
    """The sample with the least uncertainty. Raises ValueError when there is none."""
    return min(samples, key=lambda sample: sample.uncertainty)


def sharp(sample: Sample) -> bool:
    """Whether the sample tells an offset to a quarter of a second."""
    return sample.uncertainty <= _SHARP_SECONDS
