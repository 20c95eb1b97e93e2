# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters on PostgreSQL's forms and on what a server lacks."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.stack.plugins.module_utils.postgresql import access, changes, scram


def postgresql_literal(value: Any) -> str:
    """The value quoted for postgresql.conf."""
    try:
        return access.literal(value)
    except changes.PostgresqlError as error:
        raise AnsibleFilterError(str(error)) from error


def postgresql_rules(clients: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Rules for pg_hba.conf."""
    try:
        return [asdict(rule) for rule in access.rules(clients)]
    except changes.PostgresqlError as error:
        raise AnsibleFilterError(str(error)) from error


def postgresql_changes(
    databases: Iterable[Mapping[str, Any]], state: Mapping[str, Iterable[Mapping[str, Any]]]
) -> dict[str, Any]:
    """What the server of ``state`` lacks."""
    try:
        wanted = changes.parse_wanted(databases)
    except changes.PostgresqlError as error:
        raise AnsibleFilterError(str(error)) from error
    found = changes.plan(
        wanted,
        changes.parse_roles(state.get("roles") or ()),
        changes.parse_databases(state.get("databases") or ()),
        lambda: secrets.token_bytes(scram.SALT_BYTES),
    )
    return {
        "roles": list(found.roles),
        "verifiers": dict(found.verifiers),
        "databases": list(found.databases),
        "closed": list(found.closed),
        "extensions": [{"database": database, "name": name} for database, name in found.extensions],
    }


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name them."""
        return {
            "postgresql_changes": postgresql_changes,
            "postgresql_literal": postgresql_literal,
            "postgresql_rules": postgresql_rules,
        }
