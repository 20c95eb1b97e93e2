"""What a server lacks: tables, refusals, and the property that a server made so lacks nothing."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.postgresql.changes import (
    Changes,
    Database,
    PostgresqlError,
    Role,
    Wanted,
    parse_databases,
    parse_roles,
    parse_wanted,
    plan,
)
from ansible_collections.slipway.stack.plugins.module_utils.postgresql.scram import matches, verifier
from hypothesis import given, settings
from hypothesis import strategies as st

SHOP = Wanted("shop", "app", "long enough")
STORED = verifier("long enough", b"salt")
RIGHT_ROLE = Role("app", True, False, STORED)
RIGHT_DATABASE = Database("shop", "app", False)


def salt() -> bytes:
    return b"0123456789abcdef"


@pytest.mark.parametrize(
    ("role", "database", "roles", "databases", "closed"),
    [
        pytest.param(RIGHT_ROLE, RIGHT_DATABASE, (), (), (), id="all right"),
        pytest.param(None, None, ("app",), ("shop",), ("shop",), id="nothing there"),
        pytest.param(Role("app", True, False, verifier("old", b"s")), RIGHT_DATABASE, ("app",), (), (), id="password"),
        pytest.param(Role("app", True, False, None), RIGHT_DATABASE, ("app",), (), (), id="no password"),
        pytest.param(Role("app", False, False, STORED), RIGHT_DATABASE, ("app",), (), (), id="no login"),
        pytest.param(Role("app", True, True, STORED), RIGHT_DATABASE, ("app",), (), (), id="privileged"),
        pytest.param(RIGHT_ROLE, Database("shop", "postgres", False), (), ("shop",), (), id="another owner"),
        pytest.param(RIGHT_ROLE, Database("shop", "app", True), (), (), ("shop",), id="open to all"),
    ],
)
def test_what_is_wrong_is_corrected_and_nothing_else(role, database, roles, databases, closed):
    changes = plan([SHOP], [role] if role else [], [database] if database else [], salt)
    assert (changes.roles, changes.databases, changes.closed) == (roles, databases, closed)
    assert all(matches("long enough", found) for found in changes.verifiers.values())
    assert tuple(changes.verifiers) == roles


def test_an_owner_of_two_databases_is_made_once():
    changes = plan([SHOP, Wanted("stock", "app", "long enough")], [], [], salt)
    assert changes.roles == ("app",)
    assert changes.databases == ("shop", "stock")


def test_extensions_are_pairs_without_passwords():
    wanted = parse_wanted([{"name": "shop", "owner": "app", "password": "x", "extensions": ["pg_trgm", "citext"]}])
    assert plan(wanted, [], [], salt).extensions == (("shop", "pg_trgm"), ("shop", "citext"))


names = st.text("abcdefgh_", min_size=1, max_size=8).filter(lambda name: not name.startswith("pg_"))


@settings(max_examples=15, deadline=None)
@given(st.dictionaries(names, st.tuples(names, st.text("abc'\"$%{\nü", min_size=1)), max_size=3))
def test_a_server_made_as_planned_lacks_nothing(wishes):
    raw = [{"name": name, "owner": f"{name}_owner", "password": password} for name, (_, password) in wishes.items()]
    wanted = parse_wanted(raw)
    changes = plan(wanted, [], [], salt)
    roles = parse_roles(
        {"name": name, "login": True, "privileged": False, "verifier": stored}
        for name, stored in changes.verifiers.items()
    )
    databases = parse_databases({"name": item.name, "owner": item.owner, "public": False} for item in wanted)
    assert plan(wanted, roles, databases, salt) == Changes((), {}, (), (), ())


@pytest.mark.parametrize(
    ("databases", "words"),
    [
        ([{"owner": "app", "password": "x"}], "name is None"),
        ([{"name": "a" * 64, "owner": "app", "password": "x"}], "1 to 63 bytes"),
        ([{"name": "ü" * 32, "owner": "app", "password": "x"}], "1 to 63 bytes"),
        ([{"name": "postgres", "owner": "app", "password": "x"}], "none of postgres"),
        ([{"name": "shop", "owner": "pg_monitor", "password": "x"}], "not starting with pg_"),
        ([{"name": "shop", "owner": "postgres", "password": "x"}], "owner is 'postgres'"),
        ([{"name": 'a"b', "owner": "app", "password": "x"}], "without quotation marks"),
        ([{"name": "shop", "owner": "app"}], "password of 'app' is missing"),
        ([{"name": "shop", "owner": "app", "password": "x\0"}], "holds a NUL"),
        ([{"name": "shop", "owner": "app", "password": "x"}] * 2, "'shop' is named twice"),
        (
            [{"name": "shop", "owner": "app", "password": "one"}, {"name": "b", "owner": "app", "password": "two"}],
            "owner 'app' has two different passwords",
        ),
    ],
)
def test_a_wish_that_cannot_be_fulfilled_is_refused_without_its_password(databases, words):
    with pytest.raises(PostgresqlError, match=words) as refused:
        parse_wanted(databases)
    assert "postgresql_databases" in str(refused.value)
    assert "two'" not in str(refused.value)
