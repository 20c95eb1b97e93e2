# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where passwords meet the topology: kept apart, since a topology becomes a fact and a secret must not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote


class SecretError(ValueError):
    """A password is not there; the message names the variable that should hold it."""


def _password(passwords: Mapping[str, str], owner: str) -> str:
    password = passwords.get(owner)
    if not password:
        raise SecretError(
            f"slipway_database_passwords.{owner}: received nothing; "
            f"expected the password of the database role {owner}; give it in a vaulted file of the inventory"
        )
    return password


def database_secrets(databases: Sequence[Mapping[str, Any]], passwords: Mapping[str, str]) -> list[dict[str, Any]]:
    """The databases of a view, each with its owner's password. Raises :class:`SecretError`."""
    return [{**database, "password": _password(passwords, database["owner"])} for database in databases]


def _database_url(database: Mapping[str, Any], endpoint: str, password: str, ca_file: str) -> str:
    login = f"{quote(database['user'], safe='')}:{quote(password, safe='')}"
    url = f"postgresql://{login}@{database[endpoint]}/{database['name']}"
    return f"{url}?sslmode=verify-full&sslrootcert={quote(ca_file, safe='/')}" if ca_file else url


def application_secrets(
    application: Mapping[str, Any],
    database_passwords: Mapping[str, str],
    redis_password: str,
    secrets: Mapping[str, Mapping[str, str]],
    ca_file: str,
) -> dict[str, str]:
    """The secret environment of an application of a view: its endpoints with their passwords, and its own secrets.

    ``DATABASE_URL`` leads to the writer, ``DATABASE_READER_URL`` to the reader. A single Redis is told as
    ``REDIS_URL``; a cluster, which a plain URL can't describe, as ``REDIS_NODES`` and ``REDIS_PASSWORD``.
    An application's own secret of the same name wins. Raises :class:`SecretError`.
    """
    found: dict[str, str] = {}
    database = application.get("database")
    if database:
        password = _password(database_passwords, database["user"])
        found["DATABASE_URL"] = _database_url(database, "writer", password, ca_file)
        found["DATABASE_READER_URL"] = _database_url(database, "reader", password, ca_file)
    redis = application.get("redis")
    if redis:
        if not redis_password:
            raise SecretError(
                "slipway_redis_password: received nothing; expected the password of Redis; "
                "give it in a vaulted file of the inventory"
            )
        if redis["mode"] == "single":
            found["REDIS_URL"] = f"redis://default:{quote(redis_password, safe='')}@{redis['nodes'][0]}"
        else:
            found["REDIS_NODES"] = ",".join(redis["nodes"])
            found["REDIS_PASSWORD"] = redis_password
    return {**found, **{key: str(value) for key, value in secrets.get(application["name"], {}).items()}}
