"""Passwords become URLs, whatever characters they have, and their absence has a name."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.topology.build import build
from ansible_collections.slipway.stack.plugins.module_utils.topology.secrets import (
    SecretError,
    application_secrets,
    database_secrets,
    secret_findings,
)
from ansible_collections.slipway.stack.tests.unit.plugins.module_utils.topology.examples import SHOP, inventory
from hypothesis import given
from hypothesis import strategies as st

DATABASE = {"name": "shop", "user": "shop", "writer": "10.0.0.4:5432", "reader": "10.0.0.5:5432"}


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_every_password_survives_the_url(password):
    found = application_secrets({"name": "shop", "database": DATABASE}, {"shop": password}, "", {}, "/ca.crt")
    url = urlsplit(found["DATABASE_URL"])
    assert unquote(url.password or "") == password
    assert (url.hostname, url.port, url.path) == ("10.0.0.4", 5432, "/shop")
    assert url.query == "sslmode=verify-full&sslrootcert=/ca.crt"


def test_a_cluster_is_told_as_nodes_and_a_single_redis_as_url():
    single = {"name": "shop", "redis": {"mode": "single", "nodes": ["10.0.0.6:6379"]}}
    cluster = {"name": "shop", "redis": {"mode": "cluster", "nodes": ["10.0.0.6:6379", "10.0.0.7:6379"]}}
    assert application_secrets(single, {}, "p@ss", {}, "") == {"REDIS_URL": "redis://default:p%40ss@10.0.0.6:6379"}
    assert application_secrets(cluster, {}, "p@ss", {}, "") == {
        "REDIS_NODES": "10.0.0.6:6379,10.0.0.7:6379",
        "REDIS_PASSWORD": "p@ss",
    }


def test_own_secrets_are_added_and_win():
    found = application_secrets(
        {"name": "shop", "database": DATABASE}, {"shop": "x"}, "", {"shop": {"DATABASE_URL": "mine", "KEY": "k"}}, ""
    )
    assert (found["DATABASE_URL"], found["KEY"]) == ("mine", "k")


@pytest.mark.parametrize(
    ("application", "variable"),
    [
        ({"name": "shop", "database": DATABASE}, r"slipway_database_passwords\.shop"),
        ({"name": "shop", "redis": {"mode": "single", "nodes": ["x:1"]}}, "slipway_redis_password"),
    ],
)
def test_a_missing_password_names_its_variable(application, variable):
    with pytest.raises(SecretError, match=variable):
        application_secrets(application, {}, "", {}, "")


def test_databases_get_their_owners_passwords():
    assert database_secrets([{"name": "shop_db", "owner": "shop"}], {"shop": "x"}) == [
        {"name": "shop_db", "owner": "shop", "password": "x"}
    ]


def missing(apps, *secrets):
    return [finding.variable for finding in secret_findings(build(inventory(apps)), *secrets)]


def test_every_secret_that_is_missing_is_named_at_once():
    assert missing(None, {}, "", {}) == ["slipway_database_passwords.shop", "slipway_redis_password"]
    assert missing(None, {"shop": "x"}, "y", {}) == []


def test_a_required_secret_is_asked_for_and_its_value_never_shown():
    apps = {"shop": {**SHOP, "required_environment": [{"name": "KEY", "min_length": 32}, "DATABASE_URL"]}}
    assert missing(apps, {"shop": "x"}, "y", {}) == ["slipway_app_secrets.shop"]
    (finding,) = secret_findings(build(inventory(apps)), {"shop": "x"}, "y", {"shop": {"KEY": "too-short-canary"}})
    assert "32 characters" in finding.received
    assert "canary" not in str(finding)
