# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where passwords meet the topology: kept apart, since a topology becomes a fact and a secret must not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ..app.environment import SIGNING_KEY_MIN_LENGTH, findings
from ..host.findings import ERROR, Finding
from .model import Topology


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


def secret_findings(
    topology: Topology,
    database_passwords: Mapping[str, str],
    redis_password: str,
    secrets: Mapping[str, Mapping[str, str]],
) -> tuple[Finding, ...]:
    """Secrets that are missing or too short, found before any host is touched. No finding holds a value."""
    found = []
    for app in topology.applications:
        variables: dict[str, object] = dict(app.spec["environment"])
        variables.update(secrets.get(app.name, {}))
        if app.database:
            owner = app.database.owner
            if not database_passwords.get(owner):
                found.append(
                    _missing(f"slipway_database_passwords.{owner}", f"the password of the database role {owner}")
                )
            # What the roles will add themselves: an application may require it.
            variables.update(dict.fromkeys(("DATABASE_URL", "DATABASE_READER_URL"), "x" * SIGNING_KEY_MIN_LENGTH))
        if app.redis:
            added = ("REDIS_URL", "REDIS_NODES", "REDIS_PASSWORD")
            variables.update(dict.fromkeys(added, "x" * SIGNING_KEY_MIN_LENGTH))
        for text in findings(variables, app.spec["required_environment"], app.spec["environment_one_of"]):
            found.append(
                Finding(
                    ERROR,
                    "",
                    f"slipway_app_secrets.{app.name}",
                    text,
                    "the environment that the application requires",
                    f"give it in slipway_app_secrets.{app.name} (vaulted) or slipway_apps.{app.name}.environment",
                )
            )
    if topology.redis and not redis_password:
        found.append(_missing("slipway_redis_password", "the password of Redis"))
    return tuple(found)


def _missing(variable: str, expected: str) -> Finding:
    return Finding(ERROR, "", variable, "nothing", expected, "give it in a vaulted file of the inventory")
