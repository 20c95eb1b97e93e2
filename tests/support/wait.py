"""Waiting for what is seen, instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_for(what: str, holds: Callable[[], bool], seconds: float) -> float:
    """Seconds until it holds; fails after the deadline."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        if holds():
            return time.monotonic() - begun
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s: {what}")
