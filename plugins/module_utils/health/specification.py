# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From plain data to checks: everything is validated, and all that is wrong is said at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from .check import Check
from .options import Invalid, near_miss, read_option
from .runner import Policy
from .secrets import is_secret_name, mask_url
from .table import CHECK_TYPES
from .waiter import Patience


class SpecificationError(Exception):
    """Checks cannot be run as they are written; ``problems`` holds a line for each reason."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


_RANGES = {"retries": (0, 1000), "delay_seconds": (0, 3600), "successes": (1, 100), "parallelism": (1, 1024)}


def parse_policy(options: Mapping[str, Any]) -> Policy:
    """Read the module's options that apply to all checks. Raises SpecificationError."""
    problems = [
        f"{name}: expected {low} to {high}, got {options[name]:g}"
        for name, (low, high) in _RANGES.items()
        if not low <= options[name] <= high
    ]
    if problems:
        raise SpecificationError(problems)
    patience = Patience(options["retries"], options["delay_seconds"], options["successes"])
    return Policy(patience, options["parallelism"], warning_is_good=options["fail_on"] != "degraded")


def parse_checks(raw: Sequence[Any]) -> list[Check]:
    """Read a list of check specifications. Raises SpecificationError with all problems of all checks."""
    if not raw:
        raise SpecificationError(["checks is empty: nothing would be looked at, and nothing is not healthy"])
    checks: list[Check] = []
    problems: list[str] = []
    for number, item in enumerate(raw):
        check, found = _parse(item)
        if check is not None and not found:
            checks.append(check)
        problems += [f"{_called(number, item)}: {problem}" for problem in found]
    if problems:
        raise SpecificationError(problems)
    return checks


def _called(number: int, item: Any) -> str:
    if not isinstance(item, Mapping):
        return f"checks[{number}]"
    words = [str(item[key]) for key in ("type", "name") if isinstance(item.get(key), str)]
    return f"checks[{number}] ({' '.join(words)})" if words else f"checks[{number}]"


def _parse(item: Any) -> tuple[Check | None, list[str]]:
    if not isinstance(item, Mapping):
        return None, [f"expected a dictionary with a type, got {type(item).__name__}"]
    kind = item.get("type")
    known = ", ".join(CHECK_TYPES)
    if kind is None:
        return None, [f"has no type; expected one of {known}"]
    if not isinstance(kind, str) or kind not in CHECK_TYPES:
        return None, [f"unknown type {kind!r}{near_miss(str(kind), list(CHECK_TYPES))}; expected one of {known}"]
    check_type = CHECK_TYPES[kind]
    fields = {field.name: field for field in dataclasses.fields(check_type)}
    problems: list[str] = []
    if "url" in item and "host" in item:
        problems.append("url and host exclude each other: a url names its host (connect_to reaches another)")
    for key in item:
        if key == "type" or key in fields or (key in ("url", "host") and "url" in item and "host" in item):
            continue
        problems.append(f"unknown key {key!r}{near_miss(str(key), list(fields))}; {kind} takes {', '.join(fields)}")
    values: dict[str, Any] = {}
    for name, field in fields.items():
        # A variable that an inventory leaves empty is one that was not given.
        if item.get(name) in (None, ""):
            if field.metadata["required"]:
                problems.append(f"{name} is missing")
            continue
        try:
            values[name] = read_option(item[name], field.metadata)
        except Invalid as error:
            text = "is not of the form expected" if is_secret_name(name) else str(error)
            problems.append(f"{name}: {text}")
    if problems:
        return None, problems
    check = check_type(**values)
    problems = check.problems()
    if problems:
        return None, problems
    if not check.name:
        check = dataclasses.replace(check, name=f"{check.TYPE} {mask_url(check.target())}".strip())
    return check, []
