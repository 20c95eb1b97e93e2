# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Values and access rules in the forms of postgresql.conf and pg_hba.conf."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Any

from .changes import PostgresqlError

_HOST_NAME = re.compile(r"\.?[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})\Z")


@dataclass(frozen=True)
class Rule:
    """Who may reach which database from where; each part quoted for pg_hba.conf."""

    database: str
    user: str
    address: str


def literal(value: Any) -> str:
    """``value`` as a quoted value of postgresql.conf; booleans become on and off.

    Raises PostgresqlError for a value with a line break in it, which no setting takes.
    """
    text = ("on" if value else "off") if isinstance(value, bool) else str(value)
    if "\n" in text or "\r" in text or "\0" in text:
        raise PostgresqlError(f"postgresql_settings: received {text!r}, expected a value on one line")
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def rules(clients: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """The rules for ``clients`` (dictionaries of database, user and address), each once, in their order.

    An address is an IPv4 or IPv6 address with or without prefix length, or a host name (``.example.com`` for all
    below). Raises PostgresqlError naming what has another form.
    """
    found = (
        Rule(
            _word("database", client.get("database")),
            _word("user", client.get("user")),
            _address(client.get("address")),
        )
        for client in clients
    )
    return tuple(dict.fromkeys(found))


def _word(what: str, name: Any) -> str:
    text = str(name or "")
    if not text or any(letter in text for letter in '"\n\r\0'):
        raise PostgresqlError(
            f"postgresql_clients: {what} is {name!r}, expected the name of a {what} without quotation marks"
        )
    # Quoted, so that no name is taken for a keyword (all, replication) or a list.
    return f'"{text}"'


def _address(address: Any) -> str:
    text = str(address or "")
    try:
        return str(ip_interface(text).network)
    except ValueError:
        if _HOST_NAME.match(text) and not text.replace(".", "").isdigit():
            return text
        raise PostgresqlError(
            f"postgresql_clients: address is {address!r}, expected an IP address, a network such as 10.0.0.0/24, or a "
            f"host name"
        ) from None
