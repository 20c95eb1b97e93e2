"""Fixtures of the tests that meet the demo or the edges; each folder's conftest.py takes them from here."""

from __future__ import annotations

import pytest

from tests.support.stack import Stack


@pytest.fixture(scope="session")
def demo() -> Stack:
    """The demo, which `make` brought up before the tests."""
    return Stack("inventories/demo")


@pytest.fixture(scope="session")
def edges() -> Stack:
    """Two edges in front of the same members, as tests/edge/README.md tells to bring them up."""
    return Stack("tests/edge/inventory", "shop.edge.test")
