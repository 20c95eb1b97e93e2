"""The hosts that `make` brought up before these tests."""

from __future__ import annotations

import pytest

from tests.support.stack import Stack


@pytest.fixture(scope="session")
def demo() -> Stack:
    return Stack("demo")
