# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Trying until something holds: retries, consecutive successes, and a clock from outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """``retries``: failed attempts that are forgiven; ``successes``: good attempts wanted in a row;
    ``delay_seconds``: the pause between two attempts."""

    retries: int = 0
    delay_seconds: float = 1.0
    successes: int = 1

    def attempts(self) -> int:
        """How many attempts there are at most.

        Each run of good attempts that a failure ends costs a retry, so there are retries + 1 runs.
        """
        return (self.retries + 1) * self.successes

    def budget(self, timeout_seconds: float) -> float:
        """Seconds that everything takes at most, each attempt limited to ``timeout_seconds``."""
        return self.attempts() * timeout_seconds + (self.attempts() - 1) * self.delay_seconds


@dataclass(frozen=True)
class Waited(Generic[T]):
    """The last attempt's value and how many attempts there were."""

    value: T
    attempts: int


def wait(
    attempt: Callable[[], T],
    good: Callable[[T], bool],
    final: Callable[[T], bool],
    patience: Patience,
    sleep: Callable[[float], None],
) -> Waited[T]:
    """Attempt until enough good values came in a row, the retries are used up, or a value is final."""
    count, streak, failures = 0, 0, 0
    while True:
        value = attempt()
        count += 1
        if good(value):
            streak += 1
        else:
            streak, failures = 0, failures + 1
        if streak >= patience.successes or failures > patience.retries or final(value):
            return Waited(value, count)
        sleep(patience.delay_seconds)
