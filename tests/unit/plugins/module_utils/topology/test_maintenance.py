"""What of a maintenance is refused before any edge is touched."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.topology.maintenance import maintenance_findings

APPS = {"shop": {"kind": "http"}, "blog": {}, "mailer": {"kind": "worker"}}
EDGES = ("edge1", "edge2")


def found(application="shop", state="on", reached=EDGES, apps=APPS):
    return [
        (finding.variable, f"{finding.received}; {finding.expected}")
        for finding in maintenance_findings(apps, EDGES, reached, application, state)
    ]


@pytest.mark.parametrize("state", ["announced", "on", "off"])
@pytest.mark.parametrize("application", ["shop", "blog"])
def test_an_application_that_clients_reach(application, state):
    assert found(application, state) == []


@pytest.mark.parametrize(
    ("application", "words"),
    [
        ("", "nothing; one of shop, blog"),
        (None, "nothing; one of shop, blog"),
        ("shopp", "'shopp'; one of shop, blog"),
        ("mailer", "'mailer', a worker, which no client reaches; one of shop, blog"),
    ],
)
def test_another_application(application, words):
    assert found(application) == [("maintenance_application", words)]


def test_an_inventory_without_applications():
    assert found(apps={}) == [
        ("maintenance_application", "'shop'; an application that clients reach; slipway_apps has none")
    ]


@pytest.mark.parametrize(("state", "received"), [("", "nothing"), ("up", "'up'"), (True, "True")])
def test_another_state(state, received):
    assert found(state=state) == [("maintenance_state", f"{received}; announced, on, off")]


def test_a_limit_that_hides_an_edge():
    ((variable, words),) = found(reached=("edge1", "app1"))
    assert variable == "--limit"
    assert words.startswith("all but edge2; ")


def test_everything_at_once():
    assert len(found("", "", ())) == 3
