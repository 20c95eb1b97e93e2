# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options of the edge, declared once: what each accepts, in words and as a predicate, and its default.

A finding is one line that begins with where the option is, such as ``slipway_apps.shop.locations[2].path``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable


@dataclass(frozen=True)
class Field:
    """One option. What it has inside is judged by ``inside``, which gets where it is and its value."""

    expected: str
    accepts: Callable[[Any], bool]
    default: Any = None
    required: bool = False
    inside: Callable[[str, Any], Iterator[str]] | None = None


Fields = Mapping[str, Field]


def judge(where: str, given: Mapping[str, Any], fields: Fields) -> Iterator[str]:
    """Yield what is wrong with ``given``, option by option; None stands for an option that is not given."""
    for key in given:
        if key not in fields:
            yield _unknown(f"{where}.{key}", str(key), fields)
    for key, field in fields.items():
        value, place = given.get(key), f"{where}.{key}"
        if value is None:
            if field.required:
                yield f"{place}: missing; expected {field.expected}"
        elif not field.accepts(value):
            yield f"{place}: {value!r}; expected {field.expected}"
        elif field.inside is not None:
            yield from field.inside(place, value)


def fill(given: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """Return ``given`` with the defaults of the options that it does not give."""
    return {key: field.default if given.get(key) is None else given[key] for key, field in fields.items()}


def _unknown(place: str, key: str, fields: Fields) -> str:
    close = difflib.get_close_matches(key, list(fields), n=1, cutoff=0.7)
    fix = f"write {close[0]}" if close else f"expected one of {', '.join(sorted(fields))}"
    return f"{place}: is not an option; {fix}"


def whole(low: int, high: int, default: int | None = None, unit: str = "") -> Field:
    """A whole number from ``low`` to ``high``."""

    def accepts(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    return Field(f"a whole number{unit} from {low} to {high}", accepts, default)


def flag(default: bool = False) -> Field:
    """True or false."""
    return Field("true or false", lambda value: isinstance(value, bool), default)


def choice(*values: str, default: str | None = None) -> Field:
    """One of some words."""
    return Field("one of " + ", ".join(values), lambda value: value in values, default)


def text(pattern: str, expected: str, default: str | None = None, required: bool = False) -> Field:
    """A text that matches ``pattern`` as a whole, or is the default."""
    compiled = re.compile(pattern)

    def accepts(value: Any) -> bool:
        return isinstance(value, str) and (value == default or compiled.fullmatch(value) is not None)

    return Field(expected, accepts, default, required)


def each(item: Field, default: Sequence[Any] | None = ()) -> Field:
    """A list whose items are held to ``item``; a finding tells which item it is about."""

    def inside(where: str, values: Sequence[Any]) -> Iterator[str]:
        for index, value in enumerate(values):
            place = f"{where}[{index}]"
            if not item.accepts(value):
                yield f"{place}: {value!r}; expected {item.expected}"
            elif item.inside is not None:
                yield from item.inside(place, value)

    return Field("a list", _is_list, None if default is None else list(default), inside=inside)


def table(fields: Fields, default: Mapping[str, Any] | None = None) -> Field:
    """A mapping with the options ``fields``."""
    return Field(
        "a mapping",
        lambda value: isinstance(value, Mapping),
        default,
        inside=lambda where, value: judge(where, value, fields),
    )


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))
