"""What the scenarios' tests share: to run their playbook again, and which of them are run when.

A test that runs its role again takes as long as a converge, and there are many: `make test` leaves them out, `make
test-all` and `make molecule` have them (`tools/molecule.sh`).
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable

import pytest

from tests.support.playbook import Done, runner

AGAIN = frozenset(("converge", "issued", "play"))
"""Fixtures that run a role."""


def runs_a_role(item: pytest.Item) -> bool:
    return not AGAIN.isdisjoint(inspect.signature(getattr(item, "function", lambda: None)).parameters)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("SLIPWAY_LONG_TESTS", "true") == "true":
        return
    left_out = [item for item in items if runs_a_role(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="module")
def run_playbook(request: pytest.FixtureRequest) -> Callable[..., Done[str]]:
    """Runs the scenario's `converge.yml`, or what the test file calls PLAYBOOK, on its host."""
    playbook = request.path.parents[1] / getattr(request.module, "PLAYBOOK", "converge.yml")
    return runner(request.config.getoption("ansible_inventory"), playbook)


@pytest.fixture
def converge(run_playbook: Callable[..., Done[str]]) -> Callable[..., Done[str]]:
    """The same, by the name that tells that the test takes long."""
    return run_playbook
