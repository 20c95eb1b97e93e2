# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``slipway_health_options``: options of derived checks that an inventory sets otherwise, by type of check."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from ..health.check import Check
from ..health.options import Invalid, near_miss, read_option
from ..health.table import CHECK_TYPES
from .applications import Problem

VARIABLE = "slipway_health_options"
# fmt: off
_DERIVED = frozenset(
    (
        "name", "part", "application", "proves", "host", "port", "url", "unit", "user", "database",
        "connect_to", "ca_file", "server_name", "status", "json", "headers", "response_headers", "contains",
        "method", "body", "refused", "send", "expect", "query", "nodes", "size", "replicas", "persistence",
        "role", "writable", "connections", "active", "exists", "mode", "owner", "group",
    )
)
# fmt: on
"""Options that say what a derived check looks at and for: these follow from the rest of the inventory."""


def problems(given: Any) -> Iterator[Problem]:
    """Everything that is wrong with the options; ``None`` stands for none."""
    if given is None:
        return
    if not isinstance(given, Mapping):
        yield Problem(VARIABLE, repr(given), "a mapping of types of checks", f"correct {VARIABLE}")
        return
    for kind, options in given.items():
        place = f"{VARIABLE}.{kind}"
        if kind not in CHECK_TYPES:
            yield _unknown(place, str(kind), tuple(CHECK_TYPES))
        elif not isinstance(options, Mapping):
            yield Problem(place, repr(options), "a mapping of options", f"correct {place}")
        else:
            yield from _option_problems(place, options, CHECK_TYPES[kind])


def _option_problems(place: str, options: Mapping[Any, Any], check_type: type[Check]) -> Iterator[Problem]:
    known = {
        field.name: field.metadata
        for field in dataclasses.fields(check_type)
        if field.name not in _DERIVED and not field.metadata["required"]
    }
    for name, value in options.items():
        if name not in known:
            yield _unknown(f"{place}.{name}", str(name), tuple(known))
            continue
        try:
            read_option(value, known[name])
        except Invalid as error:
            expected = str(error).partition(", got ")[0].replace("expected ", "", 1)
            yield Problem(f"{place}.{name}", repr(value), expected, f"correct {place}.{name}")


def _unknown(place: str, word: str, known: tuple[str, ...]) -> Problem:
    meant = near_miss(word, known).removeprefix(" (did you mean ").removesuffix("?)")
    return Problem(place, word, f"one of {', '.join(known)}", f"write {meant}" if meant else f"remove {place}")


def applied(checks: list[dict[str, Any]], options: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The checks with the options of their types; what a check says itself wins. Call :func:`problems` first."""
    return [{**options.get(check["type"], {}), **check} for check in checks]
