"""The hosts that `make` brought up before these tests."""

from __future__ import annotations

from tests.support.fixtures import demo

__all__ = ["demo"]
