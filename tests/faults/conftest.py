"""Faults are induced on the demo; each prints what it did and what it saw."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.support.http import Client
from tests.support.stack import Stack


@pytest.fixture(scope="session")
def demo() -> Stack:
    return Stack("demo")


@pytest.fixture
def whole(demo):
    """All four instances answer before a fault, and again after it."""
    await_instances(demo, 4)
    yield
    await_instances(demo, 4)


def wait_for(what: str, holds: Callable[[], bool], seconds: float) -> float:
    """Seconds until it holds; fails after the deadline."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        if holds():
            return time.monotonic() - begun
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s: {what}")


def await_instances(demo: Stack, count: int, seconds: float = 90) -> None:
    def all_answer() -> bool:
        client = Client(demo)
        try:
            return len({client.get("/api/health").instance for _number in range(40)}) == count
        except OSError:
            return False

    wait_for(f"{count} instances answer", all_answer, seconds)


def say(text: str) -> None:
    print(f"  {text}", flush=True)
