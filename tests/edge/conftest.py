"""The edges that `make` brought up before these tests."""

from __future__ import annotations

from tests.support.fixtures import edges

__all__ = ["edges"]
