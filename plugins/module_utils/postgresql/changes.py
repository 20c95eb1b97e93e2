# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a server lacks of the databases and roles that are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from . import scram

NAME_BYTES_MAX = 63
"""Longer names are cut off by PostgreSQL without an error (NAMEDATALEN - 1)."""


class PostgresqlError(ValueError):
    """A wish that cannot be fulfilled; the message names the variable, the value received and the form expected."""


@dataclass(frozen=True)
class Wanted:
    """One database, the role that owns it and logs in to it, and that role's password."""

    name: str
    owner: str
    password: str
    extensions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Role:
    """A role as the server has it. ``privileged``: more than logging in, such as SUPERUSER or CREATEDB."""

    name: str
    login: bool
    privileged: bool
    verifier: str | None


@dataclass(frozen=True)
class Database:
    """A database as the server has it. ``public``: everybody may connect to it or create temporary tables in it."""

    name: str
    owner: str
    public: bool


@dataclass(frozen=True)
class Changes:
    """Names of what is to be created or corrected, in order, and the verifiers of those roles by name."""

    roles: tuple[str, ...]
    verifiers: Mapping[str, str]
    databases: tuple[str, ...]
    closed: tuple[str, ...]
    """Databases that everybody may still connect to, and nobody but the owner shall."""
    extensions: tuple[tuple[str, str], ...]
    """Pairs of database and extension wanted. Which are there already only shows inside each database."""


def parse_wanted(databases: Iterable[Mapping[str, Any]]) -> tuple[Wanted, ...]:
    """The wish, checked.

    Raises PostgresqlError for a name that is missing, too long (63 bytes) or reserved, a database named twice, a
    password that is missing, and an owner with two passwords. No message holds a password.
    """
    wanted = tuple(
        Wanted(
            _name("name", item.get("name"), ("postgres", "template0", "template1")),
            _name("owner", item.get("owner"), ("postgres", "public", "none")),
            _password(item),
            tuple(item.get("extensions") or ()),
        )
        for item in databases
    )
    names = [item.name for item in wanted]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise PostgresqlError(f"postgresql_databases: {twice!r} is named twice, expected each database once")
    passwords: dict[str, str] = {}
    for item in wanted:
        if passwords.setdefault(item.owner, item.password) != item.password:
            raise PostgresqlError(
                f"postgresql_databases: owner {item.owner!r} has two different passwords (masked), expected the same "
                f"one wherever it owns a database"
            )
    return wanted


def parse_roles(raw: Iterable[Mapping[str, Any]]) -> tuple[Role, ...]:
    """The roles as the state query returns them."""
    return tuple(Role(item["name"], item["login"], item["privileged"], item["verifier"]) for item in raw)


def parse_databases(raw: Iterable[Mapping[str, Any]]) -> tuple[Database, ...]:
    """The databases as the state query returns them."""
    return tuple(Database(item["name"], item["owner"], item["public"]) for item in raw)


def plan(
    wanted: Iterable[Wanted], roles: Iterable[Role], databases: Iterable[Database], salt: Callable[[], bytes]
) -> Changes:
    """What is to be done; empty when the server is as wanted. ``salt`` gives random bytes for each new verifier."""
    has_role = {role.name: role for role in roles}
    has_database = {database.name: database for database in databases}
    wishes = tuple(wanted)
    verifiers = {
        item.owner: scram.verifier(item.password, salt())
        for item in {item.owner: item for item in wishes}.values()
        if not _role_is_right(has_role.get(item.owner), item.password)
    }
    private = {name for name, found in has_database.items() if not found.public}
    return Changes(
        roles=tuple(verifiers),
        verifiers=verifiers,
        databases=tuple(
            item.name for item in wishes if item.name not in has_database or has_database[item.name].owner != item.owner
        ),
        closed=tuple(item.name for item in wishes if item.name not in private),
        extensions=tuple((item.name, extension) for item in wishes for extension in item.extensions),
    )


def _role_is_right(role: Role | None, password: str) -> bool:
    return role is not None and role.login and not role.privileged and scram.matches(password, role.verifier)


def _name(what: str, name: Any, reserved: tuple[str, ...]) -> str:
    text = str(name or "")
    right = 0 < len(text.encode()) <= NAME_BYTES_MAX and '"' not in text and text.isprintable()
    if not right or text in reserved or text.startswith("pg_"):
        raise PostgresqlError(
            f"postgresql_databases: {what} is {name!r}, expected 1 to {NAME_BYTES_MAX} bytes without quotation marks, "
            f"not starting with pg_ and none of {', '.join(reserved)}"
        )
    return text


def _password(item: Mapping[str, Any]) -> str:
    password = str(item.get("password") or "")
    if not password or "\0" in password:
        raise PostgresqlError(
            f"postgresql_databases: the password of {item.get('owner')!r} is missing or holds a NUL (masked), expected "
            f"a text: set it from a vault"
        )
    return password
