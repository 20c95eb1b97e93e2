"""Faults are induced on the demo; each prints what it did and what it saw."""

from __future__ import annotations

import pytest

from tests.support.fixtures import demo
from tests.support.shop import await_instances

__all__ = ["demo", "whole"]


@pytest.fixture
def whole(demo):
    """All four instances answer before a fault, and again after it."""
    await_instances(demo)
    yield
    await_instances(demo)
