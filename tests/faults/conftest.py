"""Faults are induced on the demo; each prints what it did and what it saw."""

from __future__ import annotations

import pytest

from tests.support.deploy import put_in_order
from tests.support.fixtures import demo
from tests.support.shop import await_instances

__all__ = ["demo", "origin", "whole"]


@pytest.fixture
def whole(demo):
    """All four instances answer before a fault, and again after it."""
    await_instances(demo)
    yield
    await_instances(demo)


@pytest.fixture
def origin(demo):
    """The release that every instance runs before a deploy; what a failed test leaves behind is put in order."""
    yield put_in_order(demo)
    put_in_order(demo)
    await_instances(demo)
