"""Fixtures of the tests that meet the demo; each folder's conftest.py takes them from here."""

from __future__ import annotations

import pytest

from tests.support.stack import Stack


@pytest.fixture(scope="session")
def demo() -> Stack:
    """The demo, which `make` brought up before the tests."""
    return Stack("demo")
