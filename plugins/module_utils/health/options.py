# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options of checks, declared once as fields of a dataclass and read from plain data.

A check type is a frozen dataclass whose fields are made by :func:`option`; reading
coerces what inventories and extra variables hold as text, and collects every problem
instead of stopping at the first.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any


class Invalid(Exception):
    """A value does not fit its option; the text says what is expected."""


def option(
    kind: str,
    default: Any = None,
    *,
    required: bool = False,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Sequence[str] = (),
    about: str = "",
) -> Any:
    """A dataclass field that is an option of a check.

    ``kind`` is one of ``str``, ``int``, ``number``, ``bool``, ``port``, ``percent``, ``strings``, ``integers``,
    ``mapping`` and ``raw``; ``about`` is its line in the documentation.
    """
    metadata = {
        "kind": kind,
        "required": required,
        "minimum": minimum,
        "maximum": maximum,
        "choices": tuple(choices),
        "about": about,
    }
    # What is made here is a field, only that the class which it is for is elsewhere.
    # pylint: disable=invalid-field-call
    if isinstance(default, dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Invalid("expected a text")
    text = str(value)
    if not text.strip():
        raise Invalid("is empty")
    if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", text):
        raise Invalid("holds a control character or a line break")
    return text


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise Invalid(f"expected a number, got {value!r}")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise Invalid(f"expected a number, got {value!r}") from None
    if not math.isfinite(number):
        raise Invalid(f"expected a finite number, got {value!r}")
    return number


def _integer(value: Any) -> int:
    number = _number(value)
    if number != int(number):
        raise Invalid(f"expected a whole number, got {value!r}")
    return int(number)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "yes", "on"):
        return True
    if isinstance(value, str) and value.lower() in ("false", "no", "off"):
        return False
    raise Invalid(f"expected true or false, got {value!r}")


def _strings(value: Any) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, Sequence):
        raise Invalid("expected a list of texts")
    return tuple(_text(item) for item in items)


def _integers(value: Any) -> tuple[int, ...]:
    items = [value] if isinstance(value, (str, int)) else value
    if not isinstance(items, Sequence):
        raise Invalid("expected a list of whole numbers")
    return tuple(_integer(item) for item in items)


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise Invalid("expected a dictionary")
    return {str(key): item for key, item in value.items()}


_KINDS: Mapping[str, Callable[[Any], Any]] = {
    "str": _text,
    "number": _number,
    "percent": _number,
    "int": _integer,
    "port": _integer,
    "bool": _boolean,
    "strings": _strings,
    "integers": _integers,
    "mapping": _mapping,
    "raw": lambda value: value,
}
_BOUNDS: Mapping[str, tuple[float, float]] = {"port": (1, 65535), "percent": (0, 1000)}


def read_option(value: Any, metadata: Mapping[str, Any]) -> Any:
    """Coerce a value to its option's kind and hold it against its bounds. Raises Invalid."""
    kind = metadata["kind"]
    result = _KINDS[kind](value)
    low, high = _BOUNDS.get(kind, (metadata["minimum"], metadata["maximum"]))
    if isinstance(result, (int, float)) and not isinstance(result, bool):
        if low is not None and high is not None and not low <= result <= high:
            raise Invalid(f"expected {low:g} to {high:g}, got {value!r}")
        if low is not None and result < low:
            raise Invalid(f"expected {low:g} or more, got {value!r}")
        if high is not None and result > high:
            raise Invalid(f"expected {high:g} or less, got {value!r}")
    if metadata["choices"] and result not in metadata["choices"]:
        raise Invalid(f"expected one of {', '.join(metadata['choices'])}, got {value!r}")
    return result


def near_miss(word: str, known: Sequence[str]) -> str:
    """`` (did you mean X?)`` where a known word is close, otherwise nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else ""
