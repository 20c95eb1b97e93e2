"""Values and rules are written as PostgreSQL reads them."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.postgresql.access import Rule, literal, rules
from ansible_collections.slipway.stack.plugins.module_utils.postgresql.changes import PostgresqlError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("4GB", "'4GB'"),
        (100, "'100'"),
        (True, "'on'"),
        (False, "'off'"),
        ("it's", "'it''s'"),
        ("a\\b", "'a\\\\b'"),
        ("", "''"),
    ],
)
def test_values_are_quoted(value, text):
    assert literal(value) == text


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b"])
def test_a_value_that_would_be_two_lines_is_refused(value):
    with pytest.raises(PostgresqlError, match="on one line"):
        literal(value)


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("10.0.0.5", "10.0.0.5/32"),
        ("10.0.0.5/32", "10.0.0.5/32"),
        ("10.0.0.5/24", "10.0.0.0/24"),
        ("::1", "::1/128"),
        ("2001:db8::/64", "2001:db8::/64"),
        ("app1.example.com", "app1.example.com"),
        (".example.com", ".example.com"),
    ],
)
def test_addresses_get_their_prefix_length(address, written):
    assert rules([{"database": "shop", "user": "app", "address": address}]) == (Rule('"shop"', '"app"', written),)


def test_a_client_named_twice_has_one_rule():
    client = {"database": "shop", "user": "shop", "address": "10.0.0.5"}
    assert len(rules([client, {**client, "address": "10.0.0.5/32"}, {**client, "user": "other"}])) == 2


def test_a_name_that_is_a_keyword_is_a_name():
    assert rules([{"database": "all", "user": "replication", "address": "::1"}])[0].database == '"all"'


@pytest.mark.parametrize(
    ("client", "words"),
    [
        ({"database": "shop", "user": "shop", "address": "10.0.0.256"}, "address is '10.0.0.256'"),
        ({"database": "shop", "user": "shop", "address": "a b"}, "expected an IP address"),
        ({"database": "shop", "user": "shop"}, "address is None"),
        ({"database": 'a"b', "user": "shop", "address": "::1"}, "database is"),
        ({"database": "shop", "user": "a\nb", "address": "::1"}, "user is"),
        ({"user": "shop", "address": "::1"}, "database is None"),
    ],
)
def test_a_client_of_another_form_is_refused_by_name(client, words):
    with pytest.raises(PostgresqlError, match=words):
        rules([client])
