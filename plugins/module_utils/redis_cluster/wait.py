# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Wait for a condition with a deadline; the clock and the pause are passed in, so tests do not sleep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable, TypeVar

from .model import RedisClusterError

_T = TypeVar("_T")


def wait_until(
    observe: Callable[[], _T],
    obstacles: Callable[[_T], Sequence[str]],
    *,
    timeout_seconds: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    interval_seconds: float = 0.1,
) -> _T:
    """Observe until there are no obstacles left, and return what was observed then.

    Raises RedisClusterError that names the obstacles seen last when ``timeout_seconds`` have passed on ``clock``.
    """
    deadline = clock() + timeout_seconds
    while True:
        seen = observe()
        left = obstacles(seen)
        if not left:
            return seen
        if clock() >= deadline:
            raise RedisClusterError(f"not done after {timeout_seconds:g} seconds: {'; '.join(left)}")
        sleep(interval_seconds)
