"""Where the cores of a host are found."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.plugin_utils.inventory import read_inventory

FACTS = {"slipway_host": {"cores": 4}}


@pytest.mark.parametrize(
    ("variables", "unknown", "cores"),
    [
        ({"slipway_cores": 2, "slipway_host": {"cores": 4}}, None, 2),
        ({"slipway_host": {"cores": 4}}, None, 4),
        ({"ansible_facts": FACTS}, None, 4),
        ({"slipway_host": {}, "ansible_facts": FACTS}, None, 4),
        ({}, None, None),
        ({}, 1, 1),
        ({"ansible_facts": FACTS}, 1, 4),
    ],
)
def test_cores_are_declared_or_were_read_in_this_run(variables, unknown, cores):
    inventory = read_inventory({"a": variables}, {"all": ["a"]}, "a", unknown_cores=unknown)
    assert inventory.host_variables["a"]["slipway_cores"] == cores
