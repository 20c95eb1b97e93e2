"""Which tests of the scenarios are run when.

A test that runs its role again takes as long as a converge, and there are many: `make test` leaves them out, `make
test-all` and `make molecule` have them (`tools/molecule.sh`).
"""

from __future__ import annotations

import inspect
import os

import pytest

AGAIN = frozenset(("converge", "issued", "play"))
"""Fixtures that run a role."""


def runs_a_role(item: pytest.Item) -> bool:
    names = inspect.signature(getattr(item, "function", lambda: None)).parameters
    return not AGAIN.isdisjoint(names) or item.get_closest_marker("runs_a_role") is not None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("SLIPWAY_ROLES_AGAIN", "true") == "true":
        return
    left_out = [item for item in items if runs_a_role(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
