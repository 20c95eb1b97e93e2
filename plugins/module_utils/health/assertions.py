# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Assertions on JSON answers: a dotted path, an operator, and the value it is held against.

Paths: ``a.b[0].c``, ``items[-1]``, ``["key.with.dots"].x``, with or without a leading ``$``;
``$`` alone is the whole document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union

from .units import parse_quantity

OPERATORS = ("eq", "ne", "lt", "le", "gt", "ge", "exists", "matches")
_ORDER = {"lt": "below", "le": "at most", "gt": "above", "ge": "at least"}

Step = Union[str, int]

_STEP = re.compile(
    r"""(?P<key>[A-Za-z_$@][\w$@-]*|\d+(?=[.\[]|\Z))|\[(?P<index>-?\d+)\]|\[(?P<quote>["'])(?P<quoted>.+?)(?P=quote)\]"""
)


class BadPath(ValueError):
    """A JSON path cannot be read; the text says where it goes wrong."""


def parse_path(path: str) -> tuple[Step, ...]:
    """Read a path into keys and list positions. Raises BadPath."""
    steps: list[Step] = []
    position = 1 if path == "$" or path[:2] in ("$.", "$[") else 0
    if not path:
        raise BadPath("is empty")
    first = position == 0
    while position < len(path):
        dotted = path[position] == "."
        if dotted and first:
            raise BadPath("starts with a dot")
        if dotted:
            position += 1
        step = _STEP.match(path, position)
        bracket = path[position : position + 1] == "["
        if step is None or (dotted and bracket) or not (first or dotted or bracket):
            raise BadPath(f"cannot be read at position {position + 1} ({path[position:] or 'its end'!r})")
        if step.group("index") is not None:
            steps.append(int(step.group("index")))
        else:
            steps.append(step.group("key") or step.group("quoted"))
        position, first = step.end(), False
    return tuple(steps)


class _Missing:
    def __repr__(self) -> str:
        return "nothing"


MISSING = _Missing()
"""Stands for what a path does not lead to; JSON's ``null`` is a value."""


def look_up(document: Any, steps: Sequence[Step]) -> Any:
    """What the path leads to in a document, or MISSING."""
    for step in steps:
        if isinstance(step, int):
            if not isinstance(document, list) or not -len(document) <= step < len(document):
                return MISSING
            document = document[step]
        else:
            if not isinstance(document, Mapping) or step not in document:
                return MISSING
            document = document[step]
    return document


@dataclass(frozen=True)
class Assertion:
    """One path, one operator, one wanted value."""

    path: str
    operator: str
    value: Any

    def describe(self) -> str:
        if self.operator == "exists":
            return f"{self.path} {'there' if self.value else 'not there'}"
        if self.operator == "matches":
            return f"{self.path} matching {self.value}"
        words = {"eq": "equal to", "ne": "other than", **_ORDER}
        return f"{self.path} {words[self.operator]} {_short(self.value)}"


def parse_assertions(raw: Mapping[str, Any]) -> tuple[list[Assertion], list[str]]:
    """Read ``{path: {operator: value}}``, or ``{path: value}`` for equality, with all problems found."""
    assertions: list[Assertion] = []
    problems: list[str] = []
    for path, wanted in raw.items():
        try:
            parse_path(str(path))
        except BadPath as error:
            problems.append(f"json path {path!r} {error}; expected the form a.b[0].c")
            continue
        if not isinstance(wanted, Mapping):
            assertions.append(Assertion(str(path), "eq", wanted))
            continue
        if not wanted:
            problems.append(f"json {path!r} has no operator; expected one of {', '.join(OPERATORS)}")
        for operator, value in wanted.items():
            problem = _problem(str(operator), value)
            if problem:
                problems.append(f"json {path!r}: {problem}")
            else:
                assertions.append(Assertion(str(path), str(operator), value))
    return assertions, problems


def _problem(operator: str, value: Any) -> str:
    if operator not in OPERATORS:
        return f"unknown operator {operator!r}; expected one of {', '.join(OPERATORS)}"
    if operator == "exists" and not isinstance(value, bool):
        return f"exists takes true or false, got {value!r}"
    if operator in _ORDER and parse_quantity(value) is None:
        return f'{operator} takes a number, with a unit if need be ("300MB", "2h 15m", "80 %"), got {value!r}'
    if operator == "matches":
        try:
            re.compile(str(value))
        except re.error as error:
            return f"matches takes a regular expression, {value!r} is none ({error})"
    return ""


def check_assertion(assertion: Assertion, document: Any) -> str:
    """What is wrong, or nothing where the assertion holds."""
    actual = look_up(document, parse_path(assertion.path))
    if assertion.operator == "exists":
        if (actual is not MISSING) == assertion.value:
            return ""
        return f"{assertion.path} is {'not there' if assertion.value else 'there'}"
    if actual is MISSING:
        # Also for "ne": an answer without the value has not shown that it is another one.
        return f"{assertion.path} is not there, wanted {assertion.describe()}"
    if assertion.operator == "matches":
        text = actual if isinstance(actual, str) else json.dumps(actual)
        return "" if re.search(str(assertion.value), text) else _wrong(assertion, actual)
    if assertion.operator in ("eq", "ne"):
        return "" if equal(actual, assertion.value) == (assertion.operator == "eq") else _wrong(assertion, actual)
    seen, wanted = parse_quantity(actual), parse_quantity(assertion.value)
    if seen is None or wanted is None:
        return f"{_wrong(assertion, actual)}: that is no number"
    if seen.kind != wanted.kind:
        # Guessing a unit could let a wrong value pass.
        return f"{_wrong(assertion, actual)}: {_kind(seen.kind)} cannot be compared with {_kind(wanted.kind)}"
    holds = {
        "lt": seen.value < wanted.value,
        "le": seen.value <= wanted.value,
        "gt": seen.value > wanted.value,
        "ge": seen.value >= wanted.value,
    }[assertion.operator]
    return "" if holds else _wrong(assertion, actual)


def equal(actual: Any, wanted: Any) -> bool:
    """JSON equality, and equal amounts written differently: ``"2h 15m"`` and ``"135m"``.

    ``true`` is not 1, and a text is not a number without a unit: ``"1"`` is not 1.
    """
    if isinstance(actual, bool) or isinstance(wanted, bool):
        return actual is wanted
    if isinstance(actual, str) and isinstance(wanted, str) and actual != wanted:
        seen, other = parse_quantity(actual), parse_quantity(wanted)
        return seen is not None and other is not None and seen.kind != "number" and seen == other
    return bool(actual == wanted)


def _wrong(assertion: Assertion, actual: Any) -> str:
    return f"{assertion.path} is {_short(actual)}, wanted {assertion.describe().split(' ', 1)[1]}"


def _kind(kind: str) -> str:
    return "a number without a unit" if kind == "number" else kind


def _short(value: Any, limit: int = 120) -> str:
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else f'"{value}"'
    return text if len(text) <= limit else text[: limit - 3] + "..."
